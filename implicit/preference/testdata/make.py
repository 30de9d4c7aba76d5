# Writes the Parquet files of this folder with pyarrow 26.0.1, which pandas and datasets use.
import pyarrow as pa
import pyarrow.parquet as pq

# Text parts, a list of large strings, a dictionary, members that are null in every message.
message = pa.struct([("role", pa.string()), ("content", pa.string()), ("reasoning_content", pa.string())])
part = pa.struct([("type", pa.string()), ("text", pa.string()), ("image", pa.string())])
parts = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
pq.write_table(pa.table({
    "prompt": pa.array([[{"role": "user", "content": [{"type": "text", "text": "Hi", "image": None}]}]], pa.list_(parts)),
    "chosen": pa.array([[{"role": "assistant", "content": "Hello", "reasoning_content": None}]], pa.list_(message)),
    "rejected": pa.array([["B", "C"]], pa.large_list(pa.large_string())),
    "system": pa.array(["S"]).dictionary_encode(), "score": [float("nan")], "id": [3],
}), "pyarrow.parquet", compression="zstd")

# LLaMA-Factory's shape: replies are structs.
turn = pa.struct([("from", pa.string()), ("value", pa.string())])
pq.write_table(pa.table({
    "conversations": pa.array([[{"from": "human", "value": "Hi"}]], pa.list_(turn)),
    "chosen": pa.array([{"from": "gpt", "value": "Hello"}], turn),
    "rejected": pa.array([{"from": "gpt", "value": "Go"}], turn),
    "images": pa.array([None], pa.list_(pa.binary())),
}), "sharegpt.parquet")
