-- Rows of the three tables.
SELECT 'players_profiles' AS table_name, count(*) AS row_count FROM chess_data.players_profiles
UNION ALL
SELECT 'players_games', count(*) FROM chess_data.players_games
UNION ALL
SELECT 'players_online_status', count(*) FROM chess_data.players_online_status
