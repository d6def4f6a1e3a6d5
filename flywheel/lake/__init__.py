"""The lake: files and Delta tables, local or on S3.

``storage`` says where a URI really is, ``delta`` appends exactly once, ``tables`` names the tables of a pipeline,
``contents`` and ``windows`` say which files of one can have what is wanted, and ``sql`` reads the statements under
``sql/``.
"""
