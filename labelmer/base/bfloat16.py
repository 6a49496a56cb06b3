"""bfloat16, which HDF5 can describe and numpy does not know: numpy sees its bits as uint16."""

import h5py
import numpy as np

BFLOAT16 = "bfloat16"


class Bfloat16:
    """Numbers of bfloat16 in memory, where numpy sees their bits; a slice is float32."""

    dtype = np.dtype(np.float32)

    def __init__(self, bits: np.ndarray) -> None:
        self.bits, self.shape, self.ndim = bits, bits.shape, bits.ndim

    def __getitem__(self, rows: slice) -> np.ndarray:
        return (self.bits[rows].astype(np.uint32) << 16).view(np.float32)


def rounded(values: np.ndarray) -> np.ndarray:
    """The bits of the bfloat16 nearest to each number, of two equally near the even one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def hdf5_bfloat16() -> h5py.h5t.TypeFloatID:
    """HDF5's description of bfloat16, by which every HDF5 tool reads it."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)  # where sign, exponent and mantissa are
    kind.set_size(2)
    return kind
