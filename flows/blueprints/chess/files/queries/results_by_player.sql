-- Who won what: each player's games with both colours, and the best rating an opponent had.
WITH sides AS (
    SELECT white__username AS player, white__result AS result, black__rating AS opponent_rating FROM chess_data.players_games
    UNION ALL
    SELECT black__username, black__result, white__rating FROM chess_data.players_games
)
SELECT
    sides.player,
    count(*) AS games,
    count(*) FILTER (result = 'win') AS won,
    count(*) FILTER (result IN ('agreed', 'repetition', 'stalemate', 'insufficient', '50move', 'timevsinsufficient')) AS drawn,
    max(opponent_rating) AS strongest_opponent
FROM sides
JOIN chess_data.players_profiles AS profile ON lower(profile.username) = lower(sides.player)
GROUP BY sides.player
ORDER BY won DESC, sides.player
