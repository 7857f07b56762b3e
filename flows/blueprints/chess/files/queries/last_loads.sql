-- The newest loads of this pipeline, as dlt records them in the destination. Status 0: complete.
SELECT load_id, schema_name, status, inserted_at
FROM chess_data._dlt_loads
ORDER BY inserted_at DESC
LIMIT 5
