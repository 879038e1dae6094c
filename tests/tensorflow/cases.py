"""Small random graphs of TensorFlow, some for each op that `opgraft import` takes. A case is a function that builds one with
what its `Make` offers; test_ops.py runs many seeds of each, record.py writes a few of each into tests/import/."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")          # read when TensorFlow is imported
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

R = tf.raw_ops
CASES = {}
GROUPS = {}                   # name of a group -> names of its cases


def case(*names):
    """Registers a function of (make, name) under each of the names, which are those of ops, in the group of this part of the file."""
    def register(build):
        for name in names:
            assert name not in CASES, name
            CASES[name] = build
            GROUPS[group].append(name)
        return build
    return register


class Make:
    """Placeholders with their values, and random choices."""

    def __init__(self, rng):
        self.rng, self.feeds = rng, {}

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def maybe(self):
        return bool(self.rng.integers(2))

    def number(self, low, high):
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, low=1, high=4, rank=None):
        return [self.number(1, 5) for _ in range(self.number(low, high) if rank is None else rank)]

    def values(self, shape, dtype=np.float32, low=-3, high=3):
        dtype = np.dtype(dtype)
        if dtype == np.bool_:
            return self.rng.integers(0, 2, shape).astype(np.bool_)
        if dtype.kind in "iu":
            return self.rng.integers(max(low, 0) if dtype.kind == "u" else low, high + 1, shape).astype(dtype)
        return self.rng.uniform(low, high, shape).astype(dtype)

    def feed(self, value, open_dims=None):
        """A placeholder with that value; the dimensions in open_dims are not in the graph, by default the first or none."""
        shape = list(value.shape)
        if open_dims is None:
            open_dims = [0] if shape and self.maybe() else []
        for d in open_dims:
            shape[d] = None
        x = tf.compat.v1.placeholder(value.dtype, shape, name=f"x{len(self.feeds)}")
        self.feeds[x.op.name] = value
        return x

    def input(self, shape, dtype=np.float32, low=-3, high=3, open_dims=None):
        return self.feed(np.asarray(self.values(shape, dtype, low, high)), open_dims)

    def broadcast(self, dtype=np.float32, low=-3, high=3):
        """Two inputs whose shapes broadcast; one may be a constant."""
        shape = self.shape(0, 4)
        other = [1 if self.number(0, 3) == 0 else n for n in shape][self.number(0, len(shape)) if self.maybe() else 0:]
        a = self.input(shape, dtype, low, high)
        b = self.values(other, dtype, low, high)
        b = tf.constant(b, dtype) if self.maybe() else self.feed(np.asarray(b))
        return (a, b) if self.maybe() else (b, a)


# ---- element by element ------------------------------------------------------------------------------

group = "elementwise"
GROUPS[group] = []

@case("Abs", "Asinh", "Atan", "Ceil", "Cos", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Neg", "Relu", "Relu6", "Rint", "Round", "Selu",
      "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Square", "Tanh", "Sinh", "Cosh")
def unary(m, name):
    x = m.input(m.shape(0), low=-8 if name == "Relu6" else -3, high=8 if name == "Relu6" else 3)
    return getattr(R, name)(**{"features" if name in FEATURES else "x": x})


FEATURES = {"Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign"}


@case("Log", "Sqrt", "Rsqrt", "Reciprocal", "Inv")
def positive(m, name):
    return getattr(R, name)(x=m.input(m.shape(0), low=0.1, high=9))


@case("Log1p")
def log1p(m, name):
    return R.Log1p(x=m.input(m.shape(0), low=-0.9, high=3) * m.pick(1, 1e-3, 1e-6))


@case("Acos", "Asin", "Atanh")
def inside_one(m, name):
    return getattr(R, name)(x=m.input(m.shape(0), low=-0.9, high=0.9))


@case("Tan")
def tangent(m, name):
    return R.Tan(x=m.input(m.shape(0), low=-1.2, high=1.2))


@case("Acosh")
def acosh(m, name):
    return R.Acosh(x=m.input(m.shape(0), low=1.1, high=9))


@case("LeakyRelu")
def leaky_relu(m, name):
    x = m.input(m.shape(0))
    return R.LeakyRelu(features=x) if m.maybe() else R.LeakyRelu(features=x, alpha=0.3)


@case("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference")
def arithmetic(m, name):
    x, y = m.broadcast(m.pick(np.float32, np.float32, np.int32, np.int64))
    return getattr(R, name)(x=x, y=y)


@case("Div", "RealDiv", "DivNoNan", "Xdivy", "MulNoNan")
def quotient(m, name):
    x, y = m.broadcast(low=0.5, high=4)
    if name == "DivNoNan":
        y = R.Floor(x=y)
    return getattr(R, name)(x=x, y=y)


@case("Xlogy", "Pow")
def power(m, name):
    x, y = m.broadcast(low=0.2, high=3)
    return getattr(R, name)(x=x, y=y)


@case("FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "Mod")
def whole_division(m, name):
    floats = name in ("FloorDiv", "FloorMod", "Mod") and m.maybe()
    shape = m.shape(0)
    x = m.input(shape, np.float32 if floats else m.pick(np.int32, np.int64), -20, 20)
    y = m.values(shape, np.float32 if floats else x.dtype.as_numpy_dtype, 1, 7)
    y = np.where(m.values(shape, np.bool_), y, -y).astype(y.dtype)
    return getattr(R, name)(x=x, y=m.feed(np.asarray(y)))


@case("AddN")
def add_n(m, name):
    shape = m.shape(0)
    return R.AddN(inputs=[m.input(shape, open_dims=[]) for _ in range(m.number(1, 4))])


@case("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual")
def comparison(m, name):
    x, y = m.broadcast(m.pick(np.float32, np.int32))
    return getattr(R, name)(x=R.Floor(x=x) if x.dtype == tf.float32 else x, y=R.Floor(x=y) if y.dtype == tf.float32 else y)


@case("LogicalAnd", "LogicalOr")
def logic(m, name):
    x, y = m.broadcast(np.bool_)
    return getattr(R, name)(x=x, y=y)


@case("LogicalNot")
def logical_not(m, name):
    return R.LogicalNot(x=m.input(m.shape(0), np.bool_))


@case("IsNan", "IsInf", "IsFinite")
def kinds_of_numbers(m, name):
    x = m.values(m.shape(1))
    x.flat[0] = m.pick(np.nan, np.inf, -np.inf)
    return getattr(R, name)(x=m.feed(x))


@case("Select")
def select(m, name):
    shape = m.shape(1)
    which = m.pick(shape, shape[:1], [])
    return R.Select(condition=m.input(which, np.bool_, open_dims=[]), x=m.input(shape, open_dims=[]), y=m.input(shape, open_dims=[]))


@case("SelectV2")
def select_v2(m, name):
    x, y = m.broadcast()
    return R.SelectV2(condition=m.input(m.pick([], [1]), np.bool_), t=x, e=y)


@case("Cast")
def cast(m, name):
    x = m.input(m.shape(0), m.pick(np.float32, np.int32, np.uint8, np.bool_, np.float64), 0, 100)
    return R.Cast(x=x, DstT=m.pick(tf.float32, tf.int32, tf.int64, tf.bool, tf.float64))


@case("ClipByValue")
def clip(m, name):
    shape = m.shape(0)
    low, high = (-1, 2) if m.maybe() else (m.values(shape, low=-2, high=0), m.values(shape, low=0, high=2))
    return R.ClipByValue(t=m.input(shape), clip_value_min=tf.constant(low, tf.float32), clip_value_max=tf.constant(high, tf.float32))


@case("BiasAdd", "BiasAddV1")
def bias_add(m, name):
    shape = m.shape(2, 4)
    if name == "BiasAddV1":
        return R.BiasAddV1(value=m.input(shape), bias=tf.constant(m.values(shape[-1:])))
    first = len(shape) > 2 and m.maybe()
    bias = m.values([shape[1 if first else -1]])
    bias = tf.constant(bias) if m.maybe() else m.feed(bias, [])
    return R.BiasAdd(value=m.input(shape), bias=bias, data_format="NCHW" if first else "NHWC")


# ---- sums ------------------------------------------------------------------------------------------------

group = "sums"
GROUPS[group] = []

def some_axes(m, rank):
    axes = [k for k in range(rank) if m.maybe()] or [rank - 1]
    return [k - rank if m.maybe() else k for k in axes]


@case("Mean", "Sum", "Max", "Min", "Prod", "EuclideanNorm")
def reduction(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.float32, np.int32) if name in ("Sum", "Max", "Min", "Prod") else np.float32)
    axes = m.pick(some_axes(m, len(x.shape)), some_axes(m, len(x.shape)), [], -1)
    return getattr(R, name)(input=x, axis=tf.constant(axes, tf.int32), keep_dims=m.maybe())


@case("All", "Any")
def logic_reduction(m, name):
    x = m.input(m.shape(1), np.bool_)
    return getattr(R, name)(input=x, axis=tf.constant(some_axes(m, len(x.shape)), tf.int32), keep_dims=m.maybe())


@case("ArgMax", "ArgMin")
def extreme(m, name):
    shape = m.shape(1)                                       # which of equal numbers is taken, TensorFlow leaves open
    x = m.feed(m.rng.permutation(int(np.prod(shape))).reshape(shape).astype(m.pick(np.float32, np.int32)))
    return getattr(R, name)(input=x, dimension=m.number(-len(x.shape), len(x.shape) - 1), output_type=m.pick(tf.int32, tf.int64))


@case("Cumsum")
def cumsum(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.int32))
    return R.Cumsum(x=x, axis=m.number(-len(x.shape), len(x.shape) - 1), exclusive=m.maybe(), reverse=m.maybe())


@case("Softmax", "LogSoftmax")
def softmax(m, name):
    return getattr(R, name)(logits=m.input(m.shape(1)))


@case("L2Loss")
def l2_loss(m, name):
    return R.L2Loss(t=m.input(m.shape(1)))


@case("MatMul")
def matmul(m, name):
    n, k, p = m.shape(rank=3)
    turn_a, turn_b = m.maybe(), m.maybe()
    a = m.input([k, n] if turn_a else [n, k], open_dims=[] if turn_a else None)
    b = m.values([p, k] if turn_b else [k, p])
    return R.MatMul(a=a, b=tf.constant(b) if m.maybe() else m.feed(b, []), transpose_a=turn_a, transpose_b=turn_b)


@case("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(m, name):
    n, k, p = m.shape(rank=3)
    turn_a, turn_b = m.maybe(), m.maybe()
    batch = m.shape(1, 2)
    few = batch if name == "BatchMatMul" or m.maybe() else [1] * len(batch)
    a = m.input(batch + ([k, n] if turn_a else [n, k]), open_dims=[])
    b = m.input(few + ([p, k] if turn_b else [k, p]), open_dims=[])
    more = {"Tout": tf.float32} if name == "BatchMatMulV3" else {}
    return getattr(R, name)(x=a, y=b, adj_x=turn_a, adj_y=turn_b, **more)


@case("Einsum")
def einsum(m, name):
    a, b, c, d = m.shape(rank=4)
    equation, x, y = m.pick(("ab,bc->ac", [a, b], [b, c]), ("abc,cd->abd", [a, b, c], [c, d]), ("abc,adc->abd", [a, b, c], [a, d, c]),
                            ("abcd,acde->abce", [a, b, c, d], [a, c, d, 3]))
    return R.Einsum(inputs=[m.input(x, open_dims=[]), m.input(y, open_dims=[])], equation=equation)


# ---- shapes ------------------------------------------------------------------------------------------------

group = "shapes"
GROUPS[group] = []

@case("Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "EnsureShape", "PlaceholderWithDefault", "Print")
def same(m, name):
    x = m.input(m.shape(1), open_dims=[]) * 2.0
    if name == "CheckNumerics":
        x = R.CheckNumerics(tensor=x, message="")
    elif name == "EnsureShape":
        x = R.EnsureShape(input=x, shape=x.shape)
    elif name == "PlaceholderWithDefault":
        x = x * R.PlaceholderWithDefault(input=tf.constant(3.0), shape=[])
    elif name == "Print":
        x = R.Print(input=x, data=[tf.constant(1.0)], first_n=0)
    else:
        x = getattr(R, name)(input=x)
    return x + 1.0


@case("IdentityN")
def identity_n(m, name):
    a, b = R.IdentityN(input=[m.input(m.shape(1)), m.input(m.shape(1), np.int32)])
    return [a + 1.0, b + 1]


@case("Shape", "Size", "Rank")
def shape(m, name):
    x = m.input(m.shape(0))
    more = {} if name == "Rank" else {"out_type": m.pick(tf.int32, tf.int64)}
    return getattr(R, name)(input=x + 1.0, **more)


@case("ShapeN")
def shape_n(m, name):
    return R.ShapeN(input=[m.input(m.shape(1)), m.input(m.shape(0))])


@case("Reshape")
def reshape(m, name):
    shape = m.shape(2)
    x = m.input(shape)
    way = m.number(0, 3)
    if way == 0:
        return R.Reshape(tensor=x, shape=[-1, shape[-1]])
    if way == 1:                                             # what Flatten is made of
        rows = R.StridedSlice(input=R.Shape(input=x), begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
        return R.Reshape(tensor=x, shape=R.Pack(values=[rows, int(np.prod(shape[1:]))]))
    if way == 2:
        return R.Reshape(tensor=x, shape=R.Pack(values=[R.Prod(input=R.Shape(input=x), axis=[0]), 1]))
    other = m.input(shape[::-1], open_dims=[0])
    back = R.ReverseV2(tensor=R.Shape(input=other), axis=[0])
    return R.Reshape(tensor=x, shape=back)


@case("Squeeze")
def squeeze(m, name):
    shape = m.shape(1, 3)
    at = m.number(0, len(shape))
    x = m.input(shape[:at] + [1] + shape[at:], open_dims=[])
    return R.Squeeze(input=x, axis=m.pick([at], [at - len(shape) - 1], []))


@case("ExpandDims")
def expand_dims(m, name):
    x = m.input(m.shape(0))
    return R.ExpandDims(input=x, axis=m.number(-len(x.shape) - 1, len(x.shape)))


@case("Pack")
def pack(m, name):
    shape = m.shape(0, 3)
    return R.Pack(values=[m.input(shape, open_dims=[]) for _ in range(m.number(1, 3))], axis=m.number(-len(shape) - 1, len(shape)))


@case("Unpack")
def unpack(m, name):
    shape = m.shape(1)
    axis = m.number(-len(shape), len(shape) - 1)
    return R.Unpack(value=m.input(shape, open_dims=[]), num=shape[axis], axis=axis)


@case("Fill")
def fill(m, name):
    x = m.input(m.shape(1))
    return R.Fill(dims=R.Shape(input=x), value=m.pick(1.5, 2, True))


@case("BroadcastTo")
def broadcast_to(m, name):
    shape = m.shape(1)
    small = [1 if m.maybe() else n for n in shape][m.number(0, len(shape)):]
    return R.BroadcastTo(input=m.input(small, open_dims=[]), shape=shape)


@case("ZerosLike", "OnesLike")
def alike(m, name):
    return getattr(R, name)(x=m.input(m.shape(0), m.pick(np.float32, np.int32)))


@case("Range")
def numbers(m, name):
    x = m.input(m.shape(1))
    n = R.StridedSlice(input=R.Shape(input=x), begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
    return R.Range(start=m.number(-2, 0), limit=n, delta=m.number(1, 2))


# ---- parts ------------------------------------------------------------------------------------------------------

group = "parts"
GROUPS[group] = []

@case("StridedSlice")
def strided_slice(m, name):
    shape = m.shape(1)
    x = m.input(shape)
    begin, end, strides, masks, at, ellipsis = [], [], [], dict.fromkeys(["begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"], 0), 0, False
    while at < len(shape) and (not begin or m.number(0, 5)):
        bit, way = 1 << len(begin), m.number(0, 7)
        n = shape[at]
        first, last, step = m.number(-n, n - 1), m.number(-n - 1, n + 1), m.pick(1, 1, 2, -1, -2)
        if way == 0 and not ellipsis and len(begin) < 6:
            masks["new_axis_mask"] |= bit
            at -= 1
        elif way == 1 and not ellipsis:
            ellipsis = True
            masks["ellipsis_mask"] |= bit
            rest = m.number(0, len(shape) - at)              # how many dimensions it stands for
            at += rest - 1
        elif way == 2:
            masks["shrink_axis_mask"] |= bit
            step = 1
        else:
            masks["begin_mask"] |= bit * m.maybe()
            masks["end_mask"] |= bit * m.maybe()
        begin.append(first), end.append(last), strides.append(step)
        at += 1
    if ellipsis and at < len(shape):                         # it takes what the entries behind it leave
        for k in range(at, len(shape)):
            begin.append(0), end.append(shape[k]), strides.append(1)
    if m.number(0, 3) == 0 and not masks["shrink_axis_mask"]:                              # known when it runs
        end = m.feed(np.array(end, np.int32), [])
    return R.StridedSlice(input=x, begin=begin, end=end, strides=strides, **masks)


@case("Slice")
def cut(m, name):
    shape = m.shape(1)
    begin = [m.number(0, n - 1) for n in shape]
    size = [-1 if m.number(0, 3) == 0 else m.number(1, n - b) for n, b in zip(shape, begin)]
    if m.number(0, 3) == 0:
        begin = m.feed(np.array(begin, np.int32), [])
    return R.Slice(input=m.input(shape), begin=begin, size=size)


@case("ReverseV2")
def reverse(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.int32))
    return R.ReverseV2(tensor=x, axis=some_axes(m, len(x.shape)))


@case("Split")
def split(m, name):
    shape, n = m.shape(1), m.number(1, 3)
    axis = m.number(0, len(shape) - 1)
    shape[axis] = n * m.number(1, 3)
    return R.Split(axis=m.pick(axis, axis - len(shape)), value=m.input(shape, open_dims=[]), num_split=n)


@case("SplitV")
def split_v(m, name):
    shape, sizes = m.shape(1), m.shape(1, 3)
    axis = m.number(0, len(shape) - 1)
    shape[axis] = sum(sizes)
    if m.maybe():
        sizes[m.number(0, len(sizes) - 1)] = -1
    return R.SplitV(value=m.input(shape, open_dims=[]), size_splits=sizes, axis=axis, num_split=len(sizes))


@case("Gather", "GatherV2")
def gather(m, name):
    shape = m.shape(1)
    axis = 0 if name == "Gather" else m.number(-len(shape), len(shape) - 1)
    at = m.input(m.shape(0, 2), m.pick(np.int32, np.int64), 0, shape[axis] - 1)
    if name == "Gather":
        return R.Gather(params=m.input(shape), indices=at)
    if name == "GatherV2" and axis > 0 and m.number(0, 2) == 0:      # batch dimensions in front of the axis, and others between
        batch = m.number(0, axis)
        at = m.input(shape[:batch] + m.shape(0, 2), np.int32, 0, shape[axis] - 1, open_dims=[])
        return R.GatherV2(params=m.input(shape, open_dims=[]), indices=at, axis=axis, batch_dims=batch)
    if axis > 0 and m.maybe():
        at = m.input(shape[:axis] + m.shape(0, 2), np.int32, 0, shape[axis] - 1, open_dims=[])
        return R.GatherV2(params=m.input(shape, open_dims=[]), indices=at, axis=axis, batch_dims=axis)
    return R.GatherV2(params=m.input(shape), indices=at, axis=axis)


@case("GatherNd")
def gather_nd(m, name):
    shape = m.shape(1)
    depth = m.number(1, len(shape))
    at = np.stack([m.values(m.shape(rank=1) * 0 + [3], np.int32, 0, n - 1) for n in shape[:depth]], -1)
    return R.GatherNd(params=m.input(shape), indices=m.feed(at, []))


@case("ScatterNd", "TensorScatterUpdate", "TensorScatterAdd")
def scatter(m, name):
    n, width = m.number(3, 6), m.number(1, 3)
    rows = m.rng.permutation(n)[:3].astype(np.int32)
    if name != "TensorScatterUpdate":
        rows[1] = rows[0]
    at, values = m.feed(rows[:, None], []), m.input([3, width], open_dims=[])
    if name == "ScatterNd":
        return R.ScatterNd(indices=at, updates=values, shape=[n, width])
    return getattr(R, name)(tensor=m.input([n, width], open_dims=[]), indices=at, updates=values)


@case("TopKV2")
def top_k(m, name):
    shape = m.shape(1)
    x = m.rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    return list(R.TopKV2(input=m.feed(x), k=m.number(1, shape[-1]))) if m.maybe() else R.TopKV2(input=m.feed(x), k=1)[0]


@case("Where")
def places(m, name):
    return R.Where(condition=m.input(m.shape(1), np.bool_))


@case("OneHot")
def one_hot(m, name):
    at = m.input(m.shape(0, 3), m.pick(np.int32, np.int64), -1, 6)
    return R.OneHot(indices=at, depth=5, on_value=2.5, off_value=-1.0, axis=m.number(-1, len(at.shape)))


# ---- moving ---------------------------------------------------------------------------------------------------------

group = "moving"
GROUPS[group] = []

@case("Transpose")
def transpose(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.int32, np.bool_))
    return R.Transpose(x=x, perm=m.rng.permutation(len(x.shape)).astype(np.int32))


@case("Concat", "ConcatV2")
def concat(m, name):
    shape = m.shape(1)
    axis = m.number(0, len(shape) - 1)
    parts = [m.input(shape[:axis] + [m.number(1, 3)] + shape[axis + 1:], open_dims=[]) for _ in range(m.number(2, 4))]
    if name == "Concat":
        return R.Concat(concat_dim=axis, values=parts)
    return R.ConcatV2(values=parts, axis=m.pick(axis, axis - len(shape)))


@case("Tile")
def tile(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.int32))
    return R.Tile(input=x, multiples=[m.number(1, 3) for _ in x.shape])


@case("Pad", "PadV2")
def pad(m, name):
    x = m.input(m.shape(1), m.pick(np.float32, np.int32))
    pads = [[m.number(0, 2), m.number(0, 2)] for _ in x.shape]
    if name == "Pad":
        return R.Pad(input=x, paddings=pads)
    return R.PadV2(input=x, paddings=pads, constant_values=tf.constant(m.number(-3, 3), x.dtype))


@case("MirrorPad")
def mirror_pad(m, name):
    shape = [n + 2 for n in m.shape(1)]
    mode = m.pick("REFLECT", "SYMMETRIC")
    return R.MirrorPad(input=m.input(shape), paddings=[[m.number(0, 2), m.number(0, 2)] for _ in shape], mode=mode)


# ---- convolutions, pools, images ------------------------------------------------------------------------------------------

group = "images"
GROUPS[group] = []

def spatial_padding(m, axes):
    """EXPLICIT is for two axes only."""
    kind = m.pick("SAME", "VALID", "EXPLICIT") if axes == 2 else m.pick("SAME", "VALID")
    return (kind, [0, 0] + [m.number(0, 2) for _ in range(2 * axes)] + [0, 0]) if kind == "EXPLICIT" else (kind, [])


def convolution_input(m, axes, channels, open_dims=None):
    return m.input([m.number(1, 2)] + [m.number(7, 11) for _ in range(axes)] + [channels], open_dims=open_dims)


@case("Conv2D")
def conv2d(m, name):
    groups, each = m.pick(1, 1, 2), m.number(1, 3)
    stride, dilation = m.pick((1, 1), (2, 1), (3, 1), (1, 2))
    filters = m.values([m.number(1, 3), m.number(1, 3), each, groups * m.number(1, 3)])
    padding, explicit = spatial_padding(m, 2)
    open_dims = [0, 1, 2] if m.number(0, 3) == 0 and groups == 1 else None
    x = convolution_input(m, 2, groups * each, open_dims)
    if padding == "VALID" and m.maybe():                     # as Keras writes it: the padding is an op of its own
        x = R.Pad(input=x, paddings=[[0, 0], [m.number(0, 2), m.number(0, 2)], [1, 1], [0, 0]])
    y = R.Conv2D(input=x, filter=tf.constant(filters), strides=[1, stride, stride, 1], padding=padding, explicit_paddings=explicit,
                 dilations=[1, dilation, dilation, 1])
    if m.maybe():
        y = R.BiasAdd(value=y, bias=tf.constant(m.values(filters.shape[-1:])))
    return y if m.maybe() else [y, R.Relu(features=y)]


@case("DepthwiseConv2dNative")
def depthwise(m, name):
    channels = m.number(1, 4)
    stride, dilation = m.pick((1, 1), (2, 1), (1, 2))
    filters = m.values([m.number(1, 3), m.number(1, 3), channels, m.number(1, 2)])
    padding, explicit = spatial_padding(m, 2)
    x = convolution_input(m, 2, channels, m.pick(None, [0, 1, 2]))
    return R.DepthwiseConv2dNative(input=x, filter=tf.constant(filters), strides=[1, stride, stride, 1], padding=padding,
                                   explicit_paddings=explicit, dilations=[1, dilation, dilation, 1])


@case("Conv3D")
def conv3d(m, name):
    channels, stride = m.number(1, 3), m.pick(1, 2)
    filters = m.values([m.number(1, 3), m.number(1, 3), m.number(1, 3), channels, m.number(1, 3)])
    return R.Conv3D(input=convolution_input(m, 3, channels), filter=tf.constant(filters), strides=[1, stride, stride, stride, 1],
                    padding=m.pick("SAME", "VALID"))


@case("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def conv_transpose(m, name):
    axes = 2 if name == "Conv2DBackpropInput" else 3
    few, many, stride, kernel = m.number(1, 3), m.number(1, 3), m.number(1, 3), m.number(1, 4)
    padding = m.pick("SAME", "VALID")
    small, batch = [m.number(2, 4) for _ in range(axes)], m.number(1, 2)
    large = [n * stride - (m.number(0, stride - 1)) if padding == "SAME" else (n - 1) * stride + kernel + m.number(0, stride - 1)
             for n in small]
    y = m.input([batch] + small + [many], open_dims=[])
    filters = tf.constant(m.values([kernel] * axes + [few, many]))
    sizes = [batch] + large + [few]
    if m.maybe():                                            # the batch as Keras asks for it
        rows = R.StridedSlice(input=R.Shape(input=y), begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
        sizes = R.Pack(values=[rows] + sizes[1:])
    strides = [1] + [stride] * axes + [1]
    if axes == 2:
        return R.Conv2DBackpropInput(input_sizes=sizes, filter=filters, out_backprop=y, strides=strides, padding=padding)
    return R.Conv3DBackpropInputV2(input_sizes=sizes, filter=filters, out_backprop=y, strides=strides, padding=padding)


@case("MaxPool", "AvgPool", "MaxPoolV2")
def pool(m, name):
    x = convolution_input(m, 2, m.number(1, 3), m.pick(None, [0, 1, 2]))
    kernel, stride = [1, m.number(1, 3), m.number(1, 3), 1], [1, m.number(1, 3), m.number(1, 3), 1]
    padding = m.pick("SAME", "VALID")
    if name == "MaxPoolV2":
        return R.MaxPoolV2(input=x, ksize=kernel, strides=stride, padding=padding)
    if name == "MaxPool":
        return R.MaxPool(input=x, ksize=kernel, strides=stride, padding=padding)
    return R.AvgPool(value=x, ksize=kernel, strides=stride, padding=padding)


@case("MaxPool3D", "AvgPool3D")
def pool3d(m, name):
    n = m.number(1, 3)
    return getattr(R, name)(input=convolution_input(m, 3, 2), ksize=[1, n, n, 2, 1], strides=[1, 2, 1, m.number(1, 2), 1],
                            padding=m.pick("SAME", "VALID"))


@case("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(m, name):
    channels = m.number(1, 4)
    x = convolution_input(m, 2, channels)
    training = m.number(0, 3) == 0
    constants = [tf.constant(m.values([channels], low=0.5, high=2)) for _ in range(4)]
    if training:
        constants[2:] = [tf.constant([], tf.float32)] * 2
    return getattr(R, name)(x=x, scale=constants[0], offset=constants[1], mean=constants[2], variance=constants[3], epsilon=1e-3,
                            is_training=training)[0]


@case("LRN")
def local_response(m, name):
    return R.LRN(input=convolution_input(m, 2, m.number(3, 8)), depth_radius=m.number(1, 3), bias=1.5, alpha=0.3, beta=0.6)


@case("SpaceToBatchND")
def space_to_batch(m, name):
    block = [m.number(1, 3), m.number(1, 3)]
    spatial = [b * m.number(1, 3) for b in block]
    before = [m.number(0, n - 1) for n in block]
    after = [m.number(0, n - 1) for n in block]
    sizes = [n * 2 - p - q for n, p, q in zip(spatial, before, after)]
    sizes = [s + (-(s + p + q)) % b for s, p, q, b in zip(sizes, before, after, block)]
    return R.SpaceToBatchND(input=m.input([m.number(1, 2)] + sizes + [2]), block_shape=block, paddings=list(zip(before, after)))


@case("BatchToSpaceND")
def batch_to_space(m, name):
    block = [m.number(1, 3), m.number(1, 3)]
    if m.maybe():
        x = m.input([block[0] * block[1] * m.number(1, 2), 3, 4, 2])
        return R.BatchToSpaceND(input=x, block_shape=block, crops=[[m.number(0, 1), m.number(0, 1)], [0, 1]])
    x = m.input([2, 8, 9, 3], open_dims=[0])                 # around a convolution: a dilated one
    kernel, channels = [m.number(1, 3), m.number(1, 3)], m.number(1, 2)
    pads, crops = [], []
    for n, b, k in zip([8, 9], block, kernel):
        before = ((k - 1) * b) // 2
        after = (k - 1) * b - before
        extra = -(n + before + after) % b
        pads.append([before, after + extra])
        crops.append([0, extra])
    y = R.SpaceToBatchND(input=x, block_shape=block, paddings=pads)
    if m.maybe():
        y = R.Conv2D(input=y, filter=tf.constant(m.values(kernel + [3, channels])), strides=[1, 1, 1, 1], padding="VALID")
    else:
        y = R.DepthwiseConv2dNative(input=y, filter=tf.constant(m.values(kernel + [3, channels])), strides=[1, 1, 1, 1], padding="VALID")
    if m.maybe():
        y = R.BiasAdd(value=y, bias=tf.constant(m.values([y.shape[-1]])))
    return R.BatchToSpaceND(input=y, block_shape=block, crops=crops)


@case("SpaceToDepth", "DepthToSpace")
def depth(m, name):
    n = m.number(2, 3)
    shape = [2, n * m.number(1, 2), n * m.number(1, 3), m.number(1, 2) * (n * n if name == "DepthToSpace" else 1)]
    return getattr(R, name)(input=m.input(shape), block_size=n)


@case("ResizeBilinear", "ResizeNearestNeighbor")
def resize(m, name):
    x = m.input([m.number(1, 2), m.number(2, 6), m.number(2, 6), m.number(1, 2)])
    corners, half = m.pick((False, False), (True, False), (False, True))
    if m.maybe():                                            # as UpSampling2D asks for it
        size = R.Shape(input=x)
        size = R.StridedSlice(input=size, begin=[1], end=[3], strides=[1]) * np.array([2, m.number(1, 3)], np.int32)
    else:
        size = tf.constant([m.number(1, 9), m.number(1, 9)], tf.int32)
    return getattr(R, name)(images=x, size=size, align_corners=corners, half_pixel_centers=half)


# ---- detection, quantised training, and more ----------------------------------------------------------------------------------

group = "more"
GROUPS[group] = []

@case("ResizeBicubic")
def resize_bicubic(m, name):
    """By factors whose places are exact in 1/1024, to which TensorFlow rounds them."""
    corners, half = m.pick((False, False), (True, False), (False, True))
    x = m.input([m.number(1, 2), m.number(3, 6), m.number(3, 6), m.number(1, 2)], open_dims=m.pick([], [0]))
    sizes = [(n - 1) * m.pick(1, 2, 4) + 1 if corners else n * m.pick(1, 2, 4) for n in x.shape[1:3]]
    return R.ResizeBicubic(images=x, size=sizes, align_corners=corners, half_pixel_centers=half)


def boxes_with_scores(m):
    n = m.number(4, 12)
    at = m.rng.uniform(0, 1, (n, 2)).astype(np.float32)
    boxes = np.concatenate([at, at + m.rng.uniform(0.05, 0.8, (n, 2)).astype(np.float32)], 1)
    return m.feed(boxes), m.feed((m.rng.permutation(n) / n).astype(np.float32), [])


@case("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4", "NonMaxSuppressionV5")
def suppression(m, name):
    boxes, scores = boxes_with_scores(m)
    most, iou, least = m.number(1, 8), m.pick(0.25, 0.5), m.pick(-1.0, 0.35)
    if name == "NonMaxSuppression":
        return R.NonMaxSuppression(boxes=boxes, scores=scores, max_output_size=most, iou_threshold=iou)
    if name == "NonMaxSuppressionV2":
        return R.NonMaxSuppressionV2(boxes=boxes, scores=scores, max_output_size=most, iou_threshold=iou)
    more = {"boxes": boxes, "scores": scores, "max_output_size": most, "iou_threshold": iou, "score_threshold": least}
    if name == "NonMaxSuppressionV3":
        return R.NonMaxSuppressionV3(**more)
    if name == "NonMaxSuppressionV4":
        return list(R.NonMaxSuppressionV4(**more, pad_to_max_output_size=m.maybe()))
    return list(R.NonMaxSuppressionV5(**more, soft_nms_sigma=0.0, pad_to_max_output_size=m.maybe()))


@case("CropAndResize")
def crop_and_resize(m, name):
    images = m.input([m.number(1, 3), m.number(3, 7), m.number(3, 7), m.number(1, 3)])
    n = m.number(1, 4)
    boxes = m.feed(m.rng.uniform(-0.3, 1.3, (n, 4)).astype(np.float32))
    which = m.feed(m.values([n], np.int32, 0, int(images.shape[0] or 1) - 1), [])
    return R.CropAndResize(image=images, boxes=boxes, box_ind=which, crop_size=[m.number(1, 5), m.number(1, 5)], method=m.pick("bilinear", "bilinear", "nearest"),
                           extrapolation_value=m.pick(0.0, 1.5))


@case("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant(m, name):
    shape = m.shape(1)
    channels = shape[-1:] if name.endswith("PerChannel") else []
    low, high = m.values(channels, low=-3, high=-0.5), m.values(channels, low=0.5, high=3)
    more = {"num_bits": m.pick(4, 8, 8, 16), "narrow_range": m.maybe()}
    if name == "FakeQuantWithMinMaxArgs":
        return R.FakeQuantWithMinMaxArgs(inputs=m.input(shape), min=float(low), max=float(high), **more)
    return getattr(R, name)(inputs=m.input(shape), min=tf.constant(low, tf.float32), max=tf.constant(high, tf.float32), **more)


@case("Atan2")
def atan2(m, name):
    y, x = m.broadcast()
    return R.Atan2(y=y, x=x)


@case("Roll")
def roll(m, name):
    x = m.input(m.shape(1), open_dims=[])
    axes = [int(k) for k in m.rng.permutation(len(x.shape))[:m.number(1, len(x.shape))]]
    return R.Roll(input=x, shift=[m.number(-7, 7) for _ in axes], axis=axes)


@case("MatrixBandPart")
def band(m, name):
    shape = m.shape(2)
    return R.MatrixBandPart(input=m.input(shape), num_lower=m.number(-1, min(3, shape[-2])), num_upper=m.number(-1, min(3, shape[-1])))


@case("ReverseSequence")
def reverse_sequence(m, name):
    shape, along = m.shape(2), m.number(0, 1)
    lengths = m.input([shape[1 - along]], m.pick(np.int32, np.int64), 1, shape[along], open_dims=[])
    return R.ReverseSequence(input=m.input(shape), seq_lengths=lengths, seq_dim=along, batch_dim=1 - along)


@case("TensorScatterSub")
def scatter_sub(m, name):
    n, width = m.number(3, 6), m.number(1, 3)
    at = m.rng.integers(0, n, 3).astype(np.int32)[:, None]
    return R.TensorScatterSub(tensor=m.input([n, width], open_dims=[]), indices=m.feed(at, []), updates=m.input([3, width], open_dims=[]))


# ---- branches and loops -------------------------------------------------------------------------------------------------------

group = "control"
GROUPS[group] = []
tf.compat.v1.enable_control_flow_v2()

@case("StatelessIf")
def branch(m, name):
    x, y = m.input(m.shape(2, 3)), m.input([])
    filters = tf.constant(m.values([x.shape[-1], 3]))
    which = m.feed(np.array(m.maybe()), [])
    return tf.cond(which, lambda: (tf.tensordot(x, filters, 1) + y, y), lambda: (tf.reduce_sum(x, -1, keepdims=True) * tf.ones([3]), y * 2))


@case("StatelessWhile")
def loop(m, name):
    """Until a sum is large enough; what the loop does not change, it reads."""
    x, w = m.input([2, 3], low=0), tf.constant(m.values([3, 3], low=0, high=0.6))
    rounds = m.input([], np.int32, 0, 5)
    return tf.while_loop(lambda k, v, w: (k < rounds) & (tf.reduce_sum(v) < 1e3), lambda k, v, w: (k + 1, tf.matmul(v, w) + 0.25, w), (0, x, w))[:2]


@case("TensorListReserve", "TensorListFromTensor", "TensorListGetItem", "TensorListSetItem", "TensorListStack", "TensorListLength")
def lists(m, name):
    """As an RNN of Keras has them: steps of the input from a list, steps of the output into one."""
    steps, width = m.number(1, 5), m.number(1, 4)
    x = m.input([steps, 2, 3], open_dims=m.pick([], [1]))
    w, u = tf.constant(m.values([3, width], low=-1, high=1)), tf.constant(m.values([width, width], low=-1, high=1))
    taken = tf.TensorArray(tf.float32, steps, element_shape=x.shape[1:]).unstack(x)
    made = tf.TensorArray(tf.float32, steps, element_shape=[None, width])

    def step(k, state, made):
        state = tf.tanh(tf.matmul(taken.read(k), w) + tf.matmul(state, u))
        return k + 1, state, made.write(k, state)
    start = tf.zeros([tf.shape(x)[1], width])
    _, state, made = tf.while_loop(lambda k, *_: k < taken.size(), step, (0, start, made), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, width]), None))
    handle = R.TensorListFromTensor(tensor=x, element_shape=tf.constant([-1, 3]))
    return [state, made.stack(), R.TensorListLength(input_handle=handle)]


# ---- making them -------------------------------------------------------------------------------------------------------------

def build(name, seed, scope):
    """Adds one case to the default graph; returns its feeds, {placeholder: value}, and the names of its outputs."""
    make = Make(np.random.default_rng(seed))
    with tf.name_scope(scope):
        made = CASES[name](make, name)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        return make.feeds, [tf.identity(y, name=f"y{k}").op.name for k, y in enumerate(made)]
