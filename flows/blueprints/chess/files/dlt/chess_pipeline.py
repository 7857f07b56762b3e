"""The chess pipeline as an ordinary dlt script: `python dlt/chess_pipeline.py` runs it anywhere dlt is installed."""

import os

import dlt
from chess import chess

first, last = os.environ.get("CHESS_MONTHS", "2022/11-2022/12").split("-")
pipeline = dlt.pipeline(
    pipeline_name="chess_script",
    destination=dlt.destinations.duckdb(os.environ.get("CHESS_DATABASE", "chess_script.duckdb")),
    dataset_name="chess_data",
)
source = chess(
    base_url=os.environ.get("CHESS_BASE_URL", "https://api.chess.com/pub/"),
    players=os.environ.get("CHESS_PLAYERS", "magnuscarlsen,rpragchess"),
    from_month=first,
    to_month=last,
)
print(pipeline.run(source))
