"""Makes the tables of this folder with pandas and pyarrow, and checks that both read the files that Go wrote.

  python tables.py          writes want.json, pandas.csv, pandas.parquet, arrow.parquet (committed; made with pandas 3.0.6, pyarrow 26.0.1)
  python tables.py check    reads ../table.csv and ../table.parquet, which go test -update wrote, and compares
"""
import json, pathlib, sys
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
texts = ["", "\r\n", "\n", "\r", "\n\n", "\r\r\n", '"', '""', ",", ',"\n', "NA", "null", "NULL", "None", "nan", "NaN", "N/A", "n/a", "<NA>", "#N/A", "-nan",
         "\ufffd", "\ufffd", "\ufeff", "\x00", "\t", " ", "  ", " Love", "love", "é", "e\u0301", "\u4f60\u597d", "\U0001f600", "\u2028", "'", "\\", "#", "0", "-1.5", "inf", "True", "<bos>"]
names = ["t%d" % i if i % 3 else s for i, s in enumerate(texts)]
bits = np.random.default_rng(7).integers(0x3a000000, 0x42200000, (len(texts), 4), dtype=np.uint32) | np.uint32(0x80000000)  # -5e-4 to -40
bits[0], bits[1], bits[2] = 0xff800000, 0x80000000, 0x00000000  # -inf, -0, 0
bits[3] = [0x80000001, 0x80800000, 0xff7fffff, 0xb4000000]  # the smallest, the smallest normal, the largest, -2^-23
prompts = ["best_ever_one", "zeta", 'a,"b"', "alpha"]  # not in alphabetical order

def frame(dtype):
    d = pd.DataFrame({"token_id": np.arange(len(texts)) * 2, "token_name": names, "token_decoded": texts})
    for k, p in enumerate(prompts):
        d[p] = bits[:, k].view(np.float32).astype(dtype)
    return d

def same(d, how):
    assert list(d.columns) == ["token_id", "token_name", "token_decoded"] + prompts, (how, list(d.columns))
    assert list(d.token_id) == [2 * i for i in range(len(texts))], how
    for column, want in ("token_name", names), ("token_decoded", texts):
        got = list(d[column])
        if how == "pandas, CSV":
            want = [w.replace("\0", "") for w in want]  # read_csv drops NUL
        assert got == want, (how, column, [(g, w) for g, w in zip(got, want) if g != w])
    for k, p in enumerate(prompts):
        got = d[p].to_numpy().astype(np.float32).view(np.uint32)
        assert (got == bits[:, k]).all(), (how, p, got, bits[:, k])

if sys.argv[1:] == ["check"]:
    same(pd.read_csv(here / "../table.csv", keep_default_na=False, na_values=[], float_precision="round_trip"), "pandas, CSV")
    same(pd.read_parquet(here / "../table.parquet"), "pandas, Parquet")
    t = pq.read_table(here / "../table.parquet")
    same(t.to_pandas(), "pyarrow")
    assert str(t.schema.field("zeta").type) == "float" and str(t.schema.field("token_id").type) == "int32" and not t.schema.field("zeta").nullable
    assert json.loads(t.schema.metadata[b"implicitreward"])["model"] == "test/model", t.schema.metadata
    print("pandas and pyarrow read what Go wrote")
else:
    json.dump({"prompts": prompts, "names": names, "texts": texts, "bits": bits.tolist()}, open(here / "want.json", "w"), indent=1)
    frame("f8").to_csv(here / "pandas.csv", index=False, lineterminator="\n")
    d = frame("f8")
    d.index = d.index[::-1]  # pandas then writes __index_level_0__
    d.to_parquet(here / "pandas.parquet", row_group_size=7)
    t = pa.Table.from_pandas(frame("f4"), preserve_index=False)
    t = t.set_column(1, "token_name", t["token_name"].cast(pa.large_string())).replace_schema_metadata(None)
    pq.write_table(t, here / "arrow.parquet", use_dictionary=False, compression="gzip", data_page_version="2.0", data_page_size=64)
