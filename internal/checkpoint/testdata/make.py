# Makes golden.safetensors with the reference writer, and prints the hash that
# Weights.Hash must give. Made with safetensors 0.8.0:
#   python make.py
import ctypes, hashlib, json, os, struct
from safetensors import TensorSpec, deserialize, serialize

tensors = {
    "z.f32": dict(dtype="float32", shape=[2, 3], data=struct.pack("<6f", 1, -2, 0.5, 3.25, -0.0, 1e-40)),
    "a.bf16": dict(dtype="bfloat16", shape=[3], data=struct.pack("<3H", 0x3F80, 0xC000, 0x0001)),
    "m.f16": dict(dtype="float16", shape=[2, 2], data=struct.pack("<4e", 1, -2, 65504, 2**-24)),
    "scalar": dict(dtype="float32", shape=[], data=struct.pack("<f", 7)),
    "empty": dict(dtype="bfloat16", shape=[0, 4], data=b""),
    "mask": dict(dtype="bool", shape=[3], data=b"\x01\x00\x01"),
    "step": dict(dtype="int64", shape=[1], data=struct.pack("<q", 42)),
    "naïve \"quoted\" <&>": dict(dtype="uint8", shape=[1], data=b"\x05"),
}
buffers = {name: ctypes.create_string_buffer(t["data"], max(1, len(t["data"]))) for name, t in tensors.items()}
raw = serialize(
    {name: TensorSpec(dtype=t["dtype"], shape=t["shape"], data_ptr=ctypes.addressof(buffers[name]), data_len=len(t["data"])) for name, t in tensors.items()},
    {"format": "pt"},
)
here = os.path.dirname(os.path.abspath(__file__))
open(os.path.join(here, "golden.safetensors"), "wb").write(raw)

lines = []
for name, t in sorted(deserialize(raw), key=lambda nt: nt[0].encode()):
    sha = hashlib.sha256(bytes(t["data"])).hexdigest()
    lines.append(json.dumps([name, t["dtype"], t["shape"], sha], separators=(",", ":"), ensure_ascii=False) + "\n")
print(hashlib.sha256("".join(lines).encode()).hexdigest())
