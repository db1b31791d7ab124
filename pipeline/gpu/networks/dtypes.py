"""torch's name for each precision."""

import torch

from pipeline.gpu.models.specs import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
