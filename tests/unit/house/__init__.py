"""Rules of this project, as tests whose messages teach."""
