"""Small neural voices with random weights, in the layouts of the real ones, for the tests."""

import json
from pathlib import Path

import torch
from transformers import (
    FastSpeech2ConformerConfig,
    FastSpeech2ConformerHifiGanConfig,
    FastSpeech2ConformerWithHifiGan,
    FastSpeech2ConformerWithHifiGanConfig,
    PreTrainedModel,
    VitsConfig,
    VitsModel,
    VitsTokenizer,
)

CHARACTERS = "k'z_y-udhes –wapticlmrgxqfbnvo "  # with "_" first it would be the blank
ARPABET = (
    "<blank> <unk> AH0 N T D S R L DH K Z IH1 IH0 M EH1 W P AE1 AH1 V ER0 F , AA1 B HH IY1 UW1 IY0"
    " AO1 EY1 AY1 . OW1 SH NG G ER1 CH Y AW1 TH UH1 EH2 OW0 EY2 AO0 IH2 AE2 AY2 AA2 UH0 EH0 OW2 JH"
    " AO2 ZH OY1 AY0 ER2 IY2 UW0 AW2 EY0 UW2 AE0 UH2 AH2 ? OY2 ! AW0 OY0 AA0 .. <sos/eos>"
)


def vits(folder: Path, **changes: object) -> Path:
    """A VITS in the layout of MMS-TTS: characters with blanks between them, 16 kHz."""
    vocabulary = {character: index for index, character in enumerate(dict.fromkeys(CHARACTERS))}
    settings: dict[str, object] = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 24,
        "flow_size": 16,
        "spectrogram_bins": 17,
        "depth_separable_num_layers": 2,
        "duration_predictor_num_flows": 2,
        "prior_encoder_num_flows": 2,
        "prior_encoder_num_wavenet_layers": 2,
        "posterior_encoder_num_wavenet_layers": 1,
        "upsample_initial_channel": 16,
        "upsample_rates": [8, 8, 4],
        "upsample_kernel_sizes": [16, 16, 8],
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3], [1, 3]],
        **changes,
    }
    torch.manual_seed(0)
    save(VitsModel(VitsConfig(**settings)), folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = VitsTokenizer(folder / "vocab.json", phonemize=False, language="eng")
    tokenizer.save_pretrained(folder)
    return folder


def fastspeech2(folder: Path, **changes: object) -> Path:
    """A FastSpeech2Conformer with its HiFi-GAN in the layout of ESPnet's: ARPAbet, 22.05 kHz."""
    vocabulary = {phone: index for index, phone in enumerate(ARPABET.split())}
    settings: dict[str, object] = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_mel_bins": 8,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_linear_units": 24,
        "decoder_linear_units": 24,
        "speech_decoder_postnet_layers": 2,
        "speech_decoder_postnet_units": 8,
        "duration_predictor_channels": 8,
        "pitch_predictor_layers": 2,
        "pitch_predictor_channels": 8,
        "energy_predictor_channels": 8,
        **changes,
    }
    vocoder = FastSpeech2ConformerHifiGanConfig(
        model_in_dim=8,
        upsample_initial_channel=16,
        resblock_kernel_sizes=[3, 5],
        resblock_dilation_sizes=[[1, 3], [1, 3]],
    )
    torch.manual_seed(0)
    config = FastSpeech2ConformerWithHifiGanConfig(
        model_config=FastSpeech2ConformerConfig(**settings).to_dict(),
        vocoder_config=vocoder.to_dict(),
    )
    model = FastSpeech2ConformerWithHifiGan(config)
    with torch.no_grad():  # a token takes some frames, and what comes out is heard
        model.model.duration_predictor.linear.bias.fill_(1.4)
        for parameter in model.vocoder.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
    save(model, folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return folder


def save(model: PreTrainedModel, folder: Path) -> None:
    with torch.no_grad():  # no gain or offset is trivial
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    model.save_pretrained(folder)
