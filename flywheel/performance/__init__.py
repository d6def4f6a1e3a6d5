"""What the model is worth, from labels that come late: how late (``delays``), what each label counts (``weights``), the
metrics (``metrics``) and how sure they are (``intervals``)."""
