"""What k-space tells of a scan: one frequency too strong, lines lost or repeated, an early end, detail of one axis.

Power is averaged over lines or slices, so that what is left of chance is small and what is left of anatomy is smooth:
a healthy brain's power falls steadily with the frequency. All frequencies are in cycles per mm.
"""

import numpy as np
from scipy import fft, ndimage

FEWEST = 32  # slices along an axis whose frequencies are examined
LOWEST = 1 / 40  # cycles/mm; slower changes are anatomy
COARSE = 2.0  # mm, voxels on which plane waves through the whole volume are looked for


def line_spectrum(detail: np.ndarray, spacing: float, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean power of all lines along an axis.

    Args:
        detail: high-pass image, 3D.
        spacing: voxel size along the axis, mm.
        axis: of the lines.

    Returns:
        frequencies in cycles/mm from 0 to the Nyquist frequency, and the natural logarithm of the power at each.

    Example:
        >>> detail = np.random.default_rng(0).standard_normal((64, 16, 16)).astype(np.float32)
        >>> frequencies, power = line_spectrum(detail, 1.0, axis=0)
        >>> frequencies.shape == power.shape
        True
    """
    lines = np.moveaxis(detail, axis, -1)
    used = lines[np.abs(lines).max(-1) > 0]
    power = (np.abs(fft.rfft(used, axis=-1)) ** 2).mean(0) if len(used) else np.ones(lines.shape[-1] // 2 + 1)
    return fft.rfftfreq(lines.shape[-1], spacing), np.log(np.maximum(power, 1e-12))


def line_features(detail: np.ndarray, spacing: float, axis: int) -> dict[str, float]:
    """Return how uneven the power along one axis is, and where it ends.

    Returns:
        `peak`: largest excess of one frequency over its neighbours, in natural logarithms;
        `notch`: largest lack;
        `jag`: robust spread about the smooth course;
        `echo`: largest periodic part of it, a sign of copies displaced by the inverse of the period;
        `cliff`: steepest fall over a twentieth of the Nyquist frequency, beyond the usual fall;
        `cliff_mm`: half the wavelength where it lies, over the voxel size, as a logarithm;
        `tail`: power in the top quarter of frequencies against that in the band from 10 to 25 mm;
        `half`: the same for the second quarter from the top;
        `reach`: half the wavelength that 90 % of the edges' power lies below, over the voxel size, as a logarithm.

    Example:
        >>> detail = np.random.default_rng(0).standard_normal((64, 16, 16)).astype(np.float32)
        >>> sorted(line_features(detail, 1.0, axis=0))
        ['cliff', 'cliff_mm', 'echo', 'half', 'jag', 'notch', 'peak', 'reach', 'tail']
    """
    frequency, power = line_spectrum(detail, spacing, axis)
    nyquist = 0.5 / spacing
    used = frequency > LOWEST
    f, p = frequency[used], power[used]
    smooth = _smooth_course(f, p)
    uneven = p - smooth
    near = p - ndimage.median_filter(p, 7, mode="nearest")
    inner = slice(3, -3)
    count = max(3, len(p) // 20)
    fall = np.array([p[i - count : i].mean() - p[i : i + count].mean() for i in range(count, len(p) - count)])
    usual = np.median(fall)
    at = int(np.argmax(fall))
    level = _mean_power(f, p, 1 / 25, 1 / 10)
    edges = np.cumsum(np.exp(p) * f**2)
    reach = float(np.interp(0.9 * edges[-1], edges, f))
    windowed = (uneven - uneven.mean()) * np.hanning(len(uneven))
    echoes = np.abs(fft.rfft(windowed, 4 * len(windowed))) / np.hanning(len(uneven)).sum() * 2
    shift = np.arange(len(echoes)) / (4 * len(windowed) * (f[1] - f[0]))
    heard = (shift > 8) & (shift < 120)
    return {
        "peak": float(near[inner].max()),
        "notch": float(-near[inner].min()),
        "jag": float(np.sqrt(np.mean(near[inner] ** 2))),
        "echo": float(echoes[heard].max()),
        "cliff": float(fall[at] - usual),
        "cliff_mm": float(np.log(nyquist / f[at + count])),
        "tail": _mean_power(f, p, 0.75 * nyquist, nyquist) - level,
        "half": _mean_power(f, p, 0.5 * nyquist, 0.75 * nyquist) - level,
        "reach": float(np.log(nyquist / reach)),
    }


def plane_features(detail: np.ndarray, spacing: tuple[float, ...], axis: int) -> dict[str, float]:
    """Return how far one wave within the slices across an axis stands out, whatever its phase in each slice.

    Returns:
        `weave`: largest excess of the slices' mean power at one frequency over its surroundings, natural logarithm.

    Example:
        >>> detail = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
        >>> sorted(plane_features(detail, (1.0, 1.0, 1.0), axis=2))
        ['weave']
    """
    slices = np.moveaxis(detail, axis, 0)
    slices = slices[np.abs(slices).max((1, 2)) > 0]
    if len(slices) < 4 or min(slices.shape[1:]) < FEWEST:
        return {"weave": float("nan")}
    step = max(1, len(slices) // 60)
    power = (np.abs(fft.rfft2(slices[::step], axes=(1, 2))) ** 2).mean(0)
    edges = [size for a, size in enumerate(spacing) if a != axis]
    first = np.abs(fft.fftfreq(slices.shape[1], edges[0]))[:, None]
    second = fft.rfftfreq(slices.shape[2], edges[1])[None]
    return {"weave": _stands_out(power, np.hypot(first, second))}


def volume_features(detail: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    """Return how far one plane wave through the whole volume stands out.

    Returns:
        `wave`: largest excess of the power at one point of k-space over its surroundings, natural logarithm; of
            voxels brought to about 2 mm, as the waves are longer than that.

    Example:
        >>> detail = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
        >>> sorted(volume_features(detail, (1.0, 1.0, 1.0)))
        ['wave']
    """
    for axis, size in enumerate(spacing):
        count = max(1, int(COARSE / size + 0.25))
        if count > 1:
            length = detail.shape[axis] // count * count
            parts = np.moveaxis(detail, axis, 0)[:length]
            parts = parts.reshape(length // count, count, *parts.shape[1:]).mean(1)
            detail, spacing = (
                np.moveaxis(parts, 0, axis),
                tuple(s * count if a == axis else s for a, s in enumerate(spacing)),
            )
    if min(detail.shape) < 8:
        return {"wave": float("nan")}
    power = np.abs(fft.rfftn(detail)) ** 2
    f = [np.abs(fft.fftfreq(n, s)) for n, s in zip(detail.shape[:2], spacing[:2], strict=True)]
    last = fft.rfftfreq(detail.shape[2], spacing[2])
    radius = np.sqrt(f[0][:, None, None] ** 2 + f[1][:, None] ** 2 + last**2)
    return {"wave": _stands_out(power, radius)}


def _stands_out(power: np.ndarray, radius: np.ndarray) -> float:
    """Return the largest logarithm of power over the mean of its surroundings, beyond the slowest frequencies."""
    width = 9
    modes = ["wrap"] * (power.ndim - 1) + ["reflect"]
    count = width**power.ndim
    core = 3**power.ndim
    wide = ndimage.uniform_filter(power, width, mode=modes) * count
    narrow = ndimage.uniform_filter(power, 3, mode=modes) * core
    around = np.maximum((wide - narrow) / (count - core), 1e-6 * power.max() + 1e-20)
    return float(np.log(np.maximum(power / around, 1e-6))[radius > 1 / 30].max())


def _smooth_course(f: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the low-order course of the logarithm of power over the logarithm of frequency."""
    if len(p) < 8:
        return np.full_like(p, p.mean())
    return np.polynomial.Polynomial.fit(np.log(f), p, 5)(np.log(f))


def _mean_power(f: np.ndarray, p: np.ndarray, low: float, high: float) -> float:
    """Return the logarithm of the mean power between two frequencies."""
    band = (f >= low) & (f <= high)
    return float(np.log(np.exp(p[band]).mean())) if band.any() else float("nan")
