"""The references that the methods text may cite, as BibTeX."""

from __future__ import annotations

from typing import Final

__all__ = ["ENTRIES"]

ENTRIES: Final = r"""
@software{voxplain,
  author = {{The voxplain developers}},
  title = {voxplain: voxel-wise explanations of 3D networks on brain MRI, held against a known
    truth},
  version = {VERSION},
  note = {After Kan et al. 2020, arXiv:2006.15969}
}
@article{nadeau2003,
  author = {Nadeau, Claude and Bengio, Yoshua},
  title = {Inference for the generalization error},
  journal = {Machine Learning},
  year = {2003},
  volume = {52},
  pages = {239--281},
  doi = {10.1023/A:1024068626366}
}
@article{smyth2004,
  author = {Smyth, Gordon K.},
  title = {Linear models and empirical {Bayes} methods for assessing differential expression in
    microarray experiments},
  journal = {Statistical Applications in Genetics and Molecular Biology},
  year = {2004},
  volume = {3},
  doi = {10.2202/1544-6115.1027}
}
@article{freedman1983,
  author = {Freedman, David and Lane, David},
  title = {A nonstochastic interpretation of reported significance levels},
  journal = {Journal of Business \& Economic Statistics},
  year = {1983},
  volume = {1},
  pages = {292--298},
  doi = {10.1080/07350015.1983.10509354}
}
@article{winkler2014,
  author = {Winkler, Anderson M. and Ridgway, Gerard R. and Webster, Matthew A. and Smith,
    Stephen M. and Nichols, Thomas E.},
  title = {Permutation inference for the general linear model},
  journal = {NeuroImage},
  year = {2014},
  volume = {92},
  pages = {381--397},
  doi = {10.1016/j.neuroimage.2014.01.060}
}
@article{smith2009,
  author = {Smith, Stephen M. and Nichols, Thomas E.},
  title = {Threshold-free cluster enhancement: addressing problems of smoothing, threshold
    dependence and localisation in cluster inference},
  journal = {NeuroImage},
  year = {2009},
  volume = {44},
  pages = {83--98},
  doi = {10.1016/j.neuroimage.2008.03.061}
}
@inproceedings{gradient,
  author = {Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew},
  title = {Deep inside convolutional networks: visualising image classification models and
    saliency maps},
  booktitle = {ICLR Workshop},
  year = {2014},
  eprint = {1312.6034},
  archiveprefix = {arXiv}
}
@misc{smoothgrad,
  author = {Smilkov, Daniel and Thorat, Nikhil and Kim, Been and Vi{\'e}gas, Fernanda and
    Wattenberg, Martin},
  title = {{SmoothGrad}: removing noise by adding noise},
  year = {2017},
  eprint = {1706.03825},
  archiveprefix = {arXiv}
}
@inproceedings{guided-backprop,
  author = {Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and Riedmiller,
    Martin},
  title = {Striving for simplicity: the all convolutional net},
  booktitle = {ICLR Workshop},
  year = {2015},
  eprint = {1412.6806},
  archiveprefix = {arXiv}
}
@inproceedings{grad-cam,
  author = {Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam,
    Ramakrishna and Parikh, Devi and Batra, Dhruv},
  title = {{Grad-CAM}: visual explanations from deep networks via gradient-based localization},
  booktitle = {ICCV},
  year = {2017},
  doi = {10.1109/ICCV.2017.74}
}
@article{pattern,
  author = {Haufe, Stefan and Meinecke, Frank and G{\"o}rgen, Kai and D{\"a}hne, Sven and
    Haynes, John-Dylan and Blankertz, Benjamin and Bie{\ss}mann, Felix},
  title = {On the interpretation of weight vectors of linear models in multivariate neuroimaging},
  journal = {NeuroImage},
  year = {2014},
  volume = {87},
  pages = {96--110},
  doi = {10.1016/j.neuroimage.2013.10.067}
}
@inproceedings{meaningful-perturbation,
  author = {Fong, Ruth C. and Vedaldi, Andrea},
  title = {Interpretable explanations of black boxes by meaningful perturbation},
  booktitle = {ICCV},
  year = {2017},
  doi = {10.1109/ICCV.2017.371}
}
@inproceedings{integrated-gradients,
  author = {Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi},
  title = {Axiomatic attribution for deep networks},
  booktitle = {ICML},
  year = {2017},
  eprint = {1703.01365},
  archiveprefix = {arXiv}
}
@article{AAL,
  author = {Tzourio-Mazoyer, Nathalie and Landeau, Brigitte and Papathanassiou, Dimitri and
    Crivello, Fabrice and Etard, Olivier and Delcroix, Nicolas and Mazoyer, Bernard and Joliot,
    Marc},
  title = {Automated anatomical labeling of activations in {SPM} using a macroscopic anatomical
    parcellation of the {MNI} {MRI} single-subject brain},
  journal = {NeuroImage},
  year = {2002},
  volume = {15},
  pages = {273--289},
  doi = {10.1006/nimg.2001.0978}
}
@article{AAL3,
  author = {Rolls, Edmund T. and Huang, Chu-Chung and Lin, Ching-Po and Feng, Jianfeng and Joliot,
    Marc},
  title = {Automated anatomical labelling atlas 3},
  journal = {NeuroImage},
  year = {2020},
  volume = {206},
  pages = {116189},
  doi = {10.1016/j.neuroimage.2019.116189}
}
@article{fischl1999,
  author = {Fischl, Bruce and Sereno, Martin I. and Dale, Anders M.},
  title = {Cortical surface-based analysis {II}: inflation, flattening, and a surface-based
    coordinate system},
  journal = {NeuroImage},
  year = {1999},
  volume = {9},
  pages = {195--207},
  doi = {10.1006/nimg.1998.0396}
}
@article{HCPEx,
  author = {Huang, Chu-Chung and Rolls, Edmund T. and Feng, Jianfeng and Lin, Ching-Po},
  title = {An extended {Human} {Connectome} {Project} multimodal parcellation atlas of the human
    cortex and subcortical areas},
  journal = {Brain Structure and Function},
  year = {2022},
  volume = {227},
  pages = {763--778},
  doi = {10.1007/s00429-021-02421-6}
}
"""
"""Entries, by keys; those of methods are the registry's names."""
