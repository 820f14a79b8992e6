"""python-oracledb (thin) at the double: witness.py host:port service. Prints "ok NAME" for each thing done."""
import datetime
import sys
import threading

import oracledb

address, service = sys.argv[1:]
host, port = address.split(":")


def connect(password="secret", service=service):
    return oracledb.connect(user="tomehub", password=password, dsn=f"{host}:{port}/{service}")


def refused(code, do):
    try:
        do()
    except oracledb.Error as e:
        assert code in str(e), f"want {code}: {e}"
        return e.args[0]
    raise AssertionError(f"want {code}, it passed")


def ok(name):
    print("ok", name, flush=True)


db = connect()
cursor = db.cursor()
ok("login")
refused("ORA-01017", lambda: connect(password="wrong"))
ok("wrong password")
# The driver's own code for a listener's ORA-12514 is DPY-6001.
refused("DPY-6001", lambda: connect(service="OTHER"))
ok("wrong service")

at = datetime.datetime(2026, 11, 24, 13, 14, 15, 123456)
long = "漢" * 20000
row = [42, "Ünïcödé 漢字", 2.25, at, bytes([0, 1, 254, 255]), None, long]
# Without its type a datetime goes as DATE, whole seconds.
cursor.setinputsizes(None, None, None, oracledb.DB_TYPE_TIMESTAMP, None, None, None)
cursor.execute("INSERT INTO everything VALUES (:1, :2, :3, :4, :5, :6, :7)", row)
assert cursor.rowcount == 1, cursor.rowcount
cursor.execute("SELECT * FROM everything")
got = list(cursor.fetchone())
got[6] = got[6].read() if hasattr(got[6], "read") else got[6]
assert got == row, got[:6]
assert cursor.fetchone() is None
ok("binds")

cursor.executemany("INSERT INTO pairs VALUES (:1, :2)", [(i, f"t{i}") for i in range(500)])
assert cursor.rowcount == 500, cursor.rowcount
ok("array binds")

cursor.execute("SELECT id, text FROM many")
rows = cursor.fetchall()
assert rows == [(i, "x" * (i % 300 + 1)) for i in range(10000)], len(rows)
ok("10000 rows")

cursor.execute("SELECT id, content FROM passages")
texts = [(i, c.read() if c is not None else None) for i, c in cursor]
assert texts == [(1, "Lies, 漢字 und x. " * 5000), (2, None), (3, "short")], len(texts)
ok("clobs")

db.module, db.action = "witness", "search"
action = "SELECT SYS_CONTEXT('USERENV', 'ACTION') FROM DUAL"
cursor.execute(action)
assert cursor.fetchall() == [("search",)]
db.action = None
cursor.execute(action)
assert cursor.fetchall() == [(None,)]
ok("action")

db.commit()
cursor.execute("INSERT INTO pairs VALUES (:1, :2)", [1, "a"])
db.commit()
cursor.execute("INSERT INTO pairs VALUES (:1, :2)", [2, "b"])
db.rollback()
ok("commit and rollback")

timer = threading.Timer(0.3, db.cancel)
timer.start()
refused("ORA-01013", lambda: cursor.execute("SELECT forever FROM DUAL"))
timer.join()
cursor.execute("SELECT id, text FROM many")
assert cursor.fetchone() == (0, "x")
ok("cancel")

e = refused("ORA-00942", lambda: cursor.execute("SELECT id FROM nothing"))
assert e.code == 942 and e.offset == 14, (e.code, e.offset)
ok("error")

db.close()
ok("close")
