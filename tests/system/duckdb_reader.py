"""DuckDB's library through ctypes, to read back what was exported: the API's deprecated but simple result functions."""

import ctypes


class Result(ctypes.Structure):
    _fields_ = [("column_count", ctypes.c_uint64), ("row_count", ctypes.c_uint64), ("rows_changed", ctypes.c_uint64), ("columns", ctypes.c_void_p),
                ("error", ctypes.c_char_p), ("internal", ctypes.c_void_p)]


class DuckDB:
    """A database in memory. Every value comes as text, or None."""

    def __init__(self, path):
        self.library = library = ctypes.CDLL(path)
        library.duckdb_result_error.restype = ctypes.c_char_p
        library.duckdb_value_varchar.restype = ctypes.c_void_p
        library.duckdb_value_varchar.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        library.duckdb_free.argtypes = [ctypes.c_void_p]
        for name in ("duckdb_column_count", "duckdb_row_count"):
            getattr(library, name).restype = ctypes.c_uint64
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        assert library.duckdb_open(None, ctypes.byref(self.database)) == 0
        assert library.duckdb_connect(self.database, ctypes.byref(self.connection)) == 0
        self.rows("SET threads=1")
        self.rows("SET TimeZone='UTC'")

    def rows(self, sql):
        result = Result()
        at = ctypes.byref(result)
        try:
            assert self.library.duckdb_query(self.connection, sql.encode(), at) == 0, f"{sql}: {self.library.duckdb_result_error(at).decode()}"
            return [tuple(self.value(at, column, row) for column in range(self.library.duckdb_column_count(at)))
                    for row in range(self.library.duckdb_row_count(at))]
        finally:
            self.library.duckdb_destroy_result(at)

    def value(self, at, column, row):
        text = self.library.duckdb_value_varchar(at, column, row)
        if not text:
            return None
        value = ctypes.string_at(text).decode()
        self.library.duckdb_free(text)
        return value

    def close(self):
        self.library.duckdb_disconnect(ctypes.byref(self.connection))
        self.library.duckdb_close(ctypes.byref(self.database))
