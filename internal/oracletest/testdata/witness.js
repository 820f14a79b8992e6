// node-oracledb (thin) at the double: witness.js host:port service. Prints "ok NAME" for each thing done.
'use strict';
const assert = require('node:assert');
const oracledb = require('oracledb');

const [address, service] = process.argv.slice(2);
const ok = (name) => console.log('ok', name);
const connect = (changes = {}) =>
  oracledb.getConnection({ user: 'tomehub', password: 'secret', connectString: `${address}/${changes.service || service}`, ...changes.login });

async function refused(code, promise) {
  try {
    await promise;
  } catch (e) {
    assert(e.message.includes(code), `want ${code}: ${e.message}`);
    return e;
  }
  throw new Error(`want ${code}, it passed`);
}

async function main() {
  const db = await connect();
  ok('login');
  await refused('ORA-01017', connect({ login: { password: 'wrong' } }));
  ok('wrong password');
  // The driver's own code for a listener's ORA-12514 is NJS-518.
  await refused('NJS-518', connect({ service: 'OTHER' }));
  ok('wrong service');

  const at = new Date(Date.UTC(2026, 10, 24, 13, 14, 15, 123));
  const long = '漢'.repeat(20000);
  const row = [42, 'Ünïcödé 漢字', 2.25, at, Buffer.from([0, 1, 254, 255]), null, long];
  let r = await db.execute('INSERT INTO everything VALUES (:1, :2, :3, :4, :5, :6, :7)', row);
  assert.equal(r.rowsAffected, 1);
  const asString = { fetchTypeHandler: (m) => (m.dbType === oracledb.DB_TYPE_CLOB ? { type: oracledb.STRING } : undefined) };
  r = await db.execute('SELECT * FROM everything', [], asString);
  const got = r.rows[0];
  assert.equal(r.rows.length, 1);
  assert.equal(got[3].getTime(), at.getTime());
  got[3] = at;
  assert.deepEqual(got, row);
  ok('binds');

  r = await db.executeMany('INSERT INTO pairs VALUES (:1, :2)', Array.from({ length: 500 }, (_, i) => [i, `t${i}`]));
  assert.equal(r.rowsAffected, 500);
  ok('array binds');

  r = await db.execute('SELECT id, text FROM many', [], { maxRows: 0 });
  assert.deepEqual(r.rows, Array.from({ length: 10000 }, (_, i) => [i, 'x'.repeat((i % 300) + 1)]));
  ok('10000 rows');

  r = await db.execute('SELECT id, content FROM passages', [], asString);
  assert.deepEqual(r.rows, [[1, 'Lies, 漢字 und x. '.repeat(5000)], [2, null], [3, 'short']]);
  ok('clobs');

  db.module = 'witness';
  db.action = 'search';
  const action = "SELECT SYS_CONTEXT('USERENV', 'ACTION') FROM DUAL";
  assert.deepEqual((await db.execute(action)).rows, [['search']]);
  db.action = '';
  assert.deepEqual((await db.execute(action)).rows, [[null]]);
  ok('action');

  await db.commit();
  await db.execute('INSERT INTO pairs VALUES (:1, :2)', [1, 'a']);
  await db.commit();
  await db.execute('INSERT INTO pairs VALUES (:1, :2)', [2, 'b']);
  await db.rollback();
  ok('commit and rollback');

  const cancelled = refused('ORA-01013', db.execute('SELECT forever FROM DUAL'));
  setTimeout(() => db.breakExecution(), 300);
  await cancelled;
  r = await db.execute('SELECT id, text FROM many', [], { maxRows: 1 });
  assert.deepEqual(r.rows, [[0, 'x']]);
  ok('cancel');

  const e = await refused('ORA-00942', db.execute('SELECT id FROM nothing'));
  assert.equal(e.errorNum, 942);
  assert.equal(e.offset, 14);
  ok('error');

  await db.close();
  ok('close');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
