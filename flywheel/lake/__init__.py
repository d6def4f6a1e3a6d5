"""The lake: files and Delta tables, local or on S3.

``storage`` says where a URI really is, ``delta`` appends exactly once, ``tables`` names the five tables of a pipeline,
and ``sql`` reads the statements under ``sql/``.
"""
