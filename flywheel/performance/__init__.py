"""What the model is worth, from labels that come late.

``measure`` goes over the windows, ``view`` looks at one; how late labels are (``delays``), what each counts
(``weights``), the metrics (``metrics``) and how sure they are (``intervals``).
"""
