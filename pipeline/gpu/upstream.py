"""The only door to realesrgan and basicsr: their networks, program and score, imported without their side effects.

Importing basicsr also imports its training code, which needs a torchvision module that is gone since 0.17 and warns
about SciPy. Both are dealt with here, at import, in the main thread: the warning filters belong to the process.
"""

import sys
import warnings
from types import ModuleType

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
    from realesrgan import RealESRGANer
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

__all__ = ["RRDBNet", "RealESRGANer", "SRVGGNetCompact", "calculate_niqe"]
