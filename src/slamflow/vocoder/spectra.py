"""Log-mels of waves, and waves of log-mels by Griffin-Lim."""

import functools

import torch
import torchaudio

SAMPLING_RATE = 16_000  # Hz
STEP = 128  # samples from mel to mel
FFT = 512  # samples of a window: longer ones blur quick speech
MELS = 80
FLOOR = 1e-4  # of a mel's magnitude
ITERATIONS = 32  # of Griffin-Lim; twice as many gain little
SEED = 0  # of its first phases


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Natural logarithms of mel magnitudes, [samples / STEP, MELS]; mel t is centred at t × STEP.

    Args:
        samples: [a multiple of STEP], float.
    """
    reflected = len(samples) > FFT // 2
    spectrum = torch.stft(
        samples,
        FFT,
        STEP,
        window=torch.hann_window(FFT, device=samples.device),
        center=True,
        pad_mode="reflect" if reflected else "constant",
        return_complex=True,
    )
    magnitudes = spectrum.abs()[:, : len(samples) // STEP]
    return (_filters().to(samples.device) @ magnitudes).clamp(min=FLOOR).log().T


def wave(mel: torch.Tensor) -> torch.Tensor:
    """Samples [t × STEP] whose log-mels are about `mel` [t, MELS], by Griffin-Lim.

    Sources: Griffin and Lim 1984; its fast form of Perraudin and others 2013. First phases are
    drawn from a fixed seed, so that the same mels give the same wave.
    """
    device = mel.device
    # one more is centred at the wave's end; fewer than half a window cannot be reflected
    size = max(len(mel), FFT // 2 // STEP + 1)
    whole = torch.cat([mel, mel[-1:].expand(size + 1 - len(mel), -1)])
    spectrum = (_inverse().to(device) @ whole.exp().T).clamp(min=0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(SEED)
        found: torch.Tensor = torchaudio.functional.griffinlim(
            spectrum,
            window=torch.hann_window(FFT, device=device),
            n_fft=FFT,
            hop_length=STEP,
            win_length=FFT,
            power=1.0,
            n_iter=ITERATIONS,
            momentum=0.99,
            length=size * STEP,
            rand_init=True,
        )
    return found[: len(mel) * STEP]


@functools.cache
def _filters() -> torch.Tensor:
    """[MELS, FFT / 2 + 1]."""
    found: torch.Tensor = torchaudio.functional.melscale_fbanks(
        FFT // 2 + 1, 0.0, SAMPLING_RATE / 2, MELS, SAMPLING_RATE, norm="slaney", mel_scale="slaney"
    )
    return found.T.contiguous()


@functools.cache
def _inverse() -> torch.Tensor:
    """[FFT / 2 + 1, MELS]; what it makes of mels has them again, but for what is below zero."""
    return torch.linalg.pinv(_filters())
