"""Codebooks of others for the tests, and what is none."""

import base64
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans

from slamflow.tokeniser import codebook_joblib

# A MiniBatchKMeans of scikit-learn 1.1.3 by joblib 1.0.1, protocol 3; centroids in Fortran's order
OLD = zlib.decompress(
    base64.b85decode(
        r"c-m!DOHUL*5FXg&H6SP=D)>M}T|^cUR5T{5kU-*ujp1S^9y&d<4Kp&Yn(hHHA<=^Z7yp76|ASX!`~e<0a`50m6Jv}A"
        r"FIwHx2Gl<6H`QHL{nc01`?TbVm5{S6u6kiEB+sgJCE_d=_CgQ`GfaBEv!HFTMxH^_1~gZQZCO@KO@M%sQzm8H!T<?n"
        r"(t)2VV>-#`D727vv?KPI2Ivf}j!jCqA(If=<}I^GtIntsv^yozhUO~I+(dBba4gb=cE;jH5>X+U<Y3oHuSpvxG>FnH"
        r"S>+LrC3NBiil3{fQxQDj(B<@zZrt*cD9t6OA#-^s;J~(~sxB@3x{IV4XF>$au}ViXCW8ce_Lz2Src0d3JmUf>Q#fcC"
        r"Q&Yhqw3QxI71@jQJC(7I&|xH`IMThl`<y~n%prYb&=7FMX)4lsNghi9{obR*4Fk6t=TW*&)4;>d*>z>y%`&$BAY*CD"
        r"GaHU#qmFIB@rssS<gOQDMKIv$Ks#<Q<!-|uX;J4sOF5iy%Fp4X-bk_rHtG~<!tYr)t@j#o9i4_u25s4JhBV{R(iEKC"
        r"-r9t7i!fZl%2n8HIA5>V@BPB1e;iA~1y>iy!Z2B*QN&WXxRtw>^=`(p>{-itiAZL2t0`Y&s146#z@Rc;`#Ji0(%Km&"
        r"2md*vQ4qt(eC^Bop_Vt}%cMsO`1d?q!g=T~gcU*TsqPDGtLZU}Vk=ZyGtAV(7@TPemwhGU*alQ9{(wK|qd-pS1&sTJ"
        r"FmrIlAM%X?(=eeFxVi|FsDS@}?NhE_6uW=z)C&A$@SDN626qj9Hu&A(2ZJ9Cel_@`W(3%q&Lo#`4PR%w9$G9g#mcTb"
        r"y?U-<{URyca5}WZA5md?{?7e}bFX$c`wPX*KLo`WDS{-1n|dTBsuR^oxRtxr-$<i7D*"
    )
)
OLD_CENTROIDS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def fitted(dimension: int = 32, random: Any = 0, kind: type = MiniBatchKMeans) -> Any:
    frames = np.random.default_rng(0).normal(size=(60, dimension)).astype(np.float32)
    return kind(6, n_init=1, max_iter=5, random_state=random).fit(frames)


def refused(path: Path) -> str:
    """The one line that says why."""
    with pytest.raises(ValueError, match="not a codebook") as failure:
        codebook_joblib.read(path)
    message = str(failure.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 400
    return message


class Evil:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)
