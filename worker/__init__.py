"""The agent: connects out, takes attempts, runs them isolated, ships results, logs and files. Needs no Django."""
