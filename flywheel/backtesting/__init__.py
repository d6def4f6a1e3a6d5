"""How a model version, and the manifest's drift rules, would have done on what is logged. Nothing is stored.

Read in this order: ``windows`` (which past windows can be looked at), ``backtest`` (one of them), ``compared`` (all).
"""
