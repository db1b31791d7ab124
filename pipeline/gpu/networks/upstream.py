"""The only door to realesrgan, basicsr, gfpgan and facexlib: their networks, programs and score, without side effects.

Importing basicsr also imports its training code, which needs a torchvision module that is gone since 0.17 and warns
about SciPy; building RetinaFace warns of torchvision, and RestoreFormer prints. All of it is dealt with here, at
import, in the main thread: warning filters and the standard output belong to the process.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from functools import partial
from io import StringIO
from types import ModuleType

import torch
from torch import nn
from torchvision.transforms import functional

_GONE = "torchvision.transforms.functional_tensor"

if _GONE not in sys.modules:
    _stand_in = ModuleType(_GONE)
    _stand_in.__dict__["rgb_to_grayscale"] = functional.rgb_to_grayscale
    sys.modules[_GONE] = _stand_in

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from basicsr.metrics.niqe import calculate_niqe
    from facexlib.detection import init_detection_model, retinaface_utils
    from facexlib.detection.retinaface import RetinaFace
    from facexlib.parsing.parsenet import ParseNet
    from facexlib.utils.face_restoration_helper import FaceRestoreHelper
    from gfpgan import GFPGANer
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean
    from gfpgan.archs.restoreformer_arch import RestoreFormer
    from gfpgan.archs.stylegan2_clean_arch import ModulatedConv2d
    from realesrgan import RealESRGANer
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    # Built without memory, and copied for each use.
    with torch.device("meta"), redirect_stdout(StringIO()):
        _RETINAFACE_RESNET50 = RetinaFace("resnet50", device="meta")
        _RETINAFACE_MOBILE = RetinaFace("mobile0.25", device="meta")
        _RESTOREFORMER = RestoreFormer()

__all__ = [
    "FACE_NETWORKS",
    "FaceRestoreHelper",
    "GFPGANer",
    "GFPGANv1Clean",
    "ModulatedConv2d",
    "ParseNet",
    "RRDBNet",
    "RealESRGANer",
    "RestoreFormer",
    "RetinaFace",
    "SRVGGNetCompact",
    "calculate_niqe",
    "init_detection_model",
    "retinaface_utils",
]


def _gfpgan() -> nn.Module:
    """As GFPGANer builds it for its architecture `clean`."""
    module: nn.Module = GFPGANv1Clean(
        out_size=512, channel_multiplier=2, fix_decoder=False, input_is_latent=True, different_w=True, sft_half=True
    )
    return module


FACE_NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "GFPGANv1Clean": _gfpgan,
    "RestoreFormer": partial(deepcopy, _RESTOREFORMER),
    "RetinaFace": partial(deepcopy, _RETINAFACE_RESNET50),
    "RetinaFace of MobileNet": partial(deepcopy, _RETINAFACE_MOBILE),
    "ParseNet": partial(ParseNet, in_size=512, out_size=512, parsing_ch=19),
}
"""How upstream builds each network for faces; call under `torch.device("meta")`."""
