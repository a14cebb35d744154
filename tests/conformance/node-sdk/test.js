'use strict'

// The official Couchbase Node SDK (it embeds the official C++ client) against chaise-cluster.
//
// node test.js PATH-OF-CHAISE-CLUSTER [NODES...]      default: clusters of 1, 2 and 4 nodes
//
// The SDK is looked for in the working directory, where the runner installed it.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { createRequire } = require('node:module')
const net = require('node:net')
const path = require('node:path')
const couchbase = createRequire(path.join(process.cwd(), 'here.js'))('couchbase')

const user = 'Administrator'
const password = 'a pass,word=with "odd" signs'

// ---- the cluster ----------------------------------------------------------------------------------------------------

function startCluster(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })))
  process.on('exit', () => child.kill('SIGKILL'))
  return new Promise((resolve, reject) => {
    let printed = ''
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`chaise-cluster ended with ${code} after printing '${printed}'`)))
    child.stdout.on('data', (data) => {
      printed += data
      if (!printed.endsWith('\n')) return
      assert.match(printed, /^couchbase:\/\/127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+)*\n$/)
      resolve({ child, ended, connectionString: printed.trim() })
    })
  })
}

async function stopCluster({ child, ended }) {
  child.kill('SIGTERM')
  assert.deepEqual(await ended, { code: 0, signal: null }, 'chaise-cluster ends well at SIGTERM')
}

// ---- the tests: each gets a collection and a prefix for its keys ------------------------------------------------------

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const is = (type) => (error) => {
  if (!(error instanceof type)) console.error(error)
  return error instanceof type
}

const tests = {
  async 'upsert and get'({ c, key }) {
    const first = await c.upsert(key, { name: 'Ada', list: [1, 2.5, null], nested: { deep: true } })
    const got = await c.get(key)
    assert.deepEqual(got.content, { name: 'Ada', list: [1, 2.5, null], nested: { deep: true } })
    assert.equal(got.cas.toString(), first.cas.toString())
    const second = await c.upsert(key, { name: 'Grace' })
    assert.notEqual(second.cas.toString(), first.cas.toString())
    assert.deepEqual((await c.get(key)).content, { name: 'Grace' })
  },

  async 'values: text, bytes, numbers, empty, non-ASCII, large'({ c, key }) {
    const values = ['text', 'Zürich ☃ 🛶', '', 0, -12.5, true, null, [], {}, Buffer.from([0, 255, 1, 128]), Buffer.alloc(0)]
    values.push({ large: 'x'.repeat(300000) }, Buffer.alloc(1000000, 7))
    await Promise.all(
      values.map(async (value, i) => {
        await c.upsert(`${key}:${i}`, value)
        assert.deepEqual((await c.get(`${key}:${i}`)).content, value)
      })
    )
    await assert.rejects(c.upsert(key, Buffer.alloc(21 * 1024 * 1024)), is(couchbase.ValueTooLargeError))
  },

  async 'values as they are: raw transcoders'({ c, key }) {
    const binary = { transcoder: new couchbase.RawBinaryTranscoder() }
    const string = { transcoder: new couchbase.RawStringTranscoder() }
    const json = { transcoder: new couchbase.RawJsonTranscoder() }
    await c.upsert(`${key}:b`, Buffer.from('\u0000raw\u00ff', 'latin1'), binary)
    assert.deepEqual((await c.get(`${key}:b`, binary)).content, Buffer.from('\u0000raw\u00ff', 'latin1'))
    await c.upsert(`${key}:s`, '{"not": parsed', string)
    assert.equal((await c.get(`${key}:s`, string)).content, '{"not": parsed')
    await c.upsert(`${key}:j`, '{"raw":1.0}', json)
    assert.equal((await c.get(`${key}:j`, json)).content.toString(), '{"raw":1.0}')
    assert.deepEqual((await c.get(`${key}:j`)).content, { raw: 1 })
  },

  async 'insert'({ c, key }) {
    const { cas } = await c.insert(key, { first: 1 })
    await assert.rejects(c.insert(key, { second: 2 }), is(couchbase.DocumentExistsError))
    const got = await c.get(key)
    assert.deepEqual(got.content, { first: 1 })
    assert.equal(got.cas.toString(), cas.toString())
  },

  async 'replace'({ c, key }) {
    await assert.rejects(c.replace(key, 1), is(couchbase.DocumentNotFoundError))
    await c.insert(key, 1)
    await c.replace(key, 2)
    assert.equal((await c.get(key)).content, 2)
  },

  async 'remove'({ c, key }) {
    await assert.rejects(c.remove(key), is(couchbase.DocumentNotFoundError))
    await c.upsert(key, 1)
    await c.remove(key)
    await assert.rejects(c.get(key), is(couchbase.DocumentNotFoundError))
    await c.insert(key, 2)
    assert.equal((await c.get(key)).content, 2)
  },

  async 'append and prepend'({ c, key }) {
    const string = { transcoder: new couchbase.RawStringTranscoder() }
    await assert.rejects(c.binary().append(key, 'x'), is(couchbase.DocumentNotFoundError))
    await c.upsert(key, 'middle', string)
    await c.binary().append(key, Buffer.from(' end'))
    await c.binary().prepend(key, 'begin ')
    assert.equal((await c.get(key, string)).content, 'begin middle end')
  },

  async 'counters'({ c, key }) {
    await assert.rejects(c.binary().increment(key, 1), is(couchbase.DocumentNotFoundError))
    assert.equal((await c.binary().increment(key, 5, { initial: 100 })).value, 100)
    assert.equal((await c.binary().increment(key, 5)).value, 105)
    assert.equal((await c.binary().decrement(key, 10)).value, 95)
    assert.equal((await c.binary().decrement(key, 1000)).value, 0, 'not below 0')
    assert.equal((await c.get(key)).content, 0)
    await c.upsert(`${key}:text`, 'no number')
    await assert.rejects(c.binary().increment(`${key}:text`, 1), is(couchbase.DeltaInvalidError))
    const many = await Promise.all(Array.from({ length: 50 }, () => c.binary().increment(key, 1)))
    assert.deepEqual(new Set(many.map((r) => r.value)), new Set(Array.from({ length: 50 }, (_, i) => i + 1)))
  },

  async 'exists'({ c, key }) {
    assert.equal((await c.exists(key)).exists, false)
    const { cas } = await c.upsert(key, 1)
    const found = await c.exists(key)
    assert.equal(found.exists, true)
    assert.equal(found.cas.toString(), cas.toString())
    await c.remove(key)
    assert.equal((await c.exists(key)).exists, false)
  },

  async 'CAS conflicts'({ c, key }) {
    const { cas } = await c.upsert(key, 1)
    await c.upsert(key, 2)
    await assert.rejects(c.replace(key, 3, { cas }), is(couchbase.CasMismatchError))
    await assert.rejects(c.remove(key, { cas }), is(couchbase.CasMismatchError))
    const got = await c.get(key)
    assert.equal(got.content, 2)
    await c.replace(key, 3, { cas: got.cas })
    const now = await c.get(key)
    assert.equal(now.content, 3)
    await c.remove(key, { cas: now.cas })
    assert.equal((await c.exists(key)).exists, false)
    // Of twenty who replace what they read, one wins.
    const read = await c.upsert(key, 'start')
    const all = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => c.replace(key, i, { cas: read.cas })))
    const winners = all.map((r, i) => (r.status === 'fulfilled' ? i : -1)).filter((i) => i >= 0)
    assert.equal(winners.length, 1)
    assert.equal((await c.get(key)).content, winners[0])
    for (const r of all) if (r.status === 'rejected') assert.ok(is(couchbase.CasMismatchError)(r.reason))
  },

  async 'expiry, touch, getAndTouch'({ c, key, inTime }) {
    const short = { expiry: 3 } // whole seconds: it lives between 2 s and 3 s
    await Promise.all([
      c.upsert(`${key}:expires`, 1, short), c.upsert(`${key}:touched`, 2, short), c.upsert(`${key}:got`, 3, short),
      c.upsert(`${key}:will`, 4), c.upsert(`${key}:kept`, 5, short), c.upsert(`${key}:plain`, 6, short),
      c.insert(`${key}:inserted`, 7, short), c.upsert(`${key}:replaced`, 8),
    ])
    const written = Date.now()
    assert.equal((await c.get(`${key}:expires`)).content, 1)
    await Promise.all([
      c.touch(`${key}:touched`, 1000), c.getAndTouch(`${key}:got`, 1000).then((doc) => assert.equal(doc.content, 3)),
      c.touch(`${key}:will`, 3), c.replace(`${key}:kept`, 50, { preserveExpiry: true }), c.replace(`${key}:plain`, 60),
      c.replace(`${key}:replaced`, 80, short), c.binary().increment(`${key}:counter`, 1, { initial: 9, expiry: 3 }),
    ])
    assert.ok(Date.now() - written < 1900, 'this machine is too slow for this test')
    inTime()
    await sleep(3200)
    for (const name of ['expires', 'will', 'kept', 'inserted', 'replaced', 'counter']) {
      await assert.rejects(c.get(`${key}:${name}`), is(couchbase.DocumentNotFoundError), name)
      assert.equal((await c.exists(`${key}:${name}`)).exists, false, name)
    }
    for (const [name, value] of [['touched', 2], ['got', 3], ['plain', 60]]) {
      assert.equal((await c.get(`${key}:${name}`)).content, value, name)
    }
    await c.insert(`${key}:expires`, 'room for another')
    await assert.rejects(c.touch(`${key}:absent`, 10), is(couchbase.DocumentNotFoundError))
    await assert.rejects(c.getAndTouch(`${key}:absent`, 10), is(couchbase.DocumentNotFoundError))
  },

  async 'getAndLock and unlock'({ c, key }) {
    await c.upsert(key, 'before')
    const locked = await c.getAndLock(key, 10)
    assert.equal(locked.content, 'before')
    // The SDK repeats what meets a lock until the operation's time is up.
    const soon = { timeout: 200 }
    const refused = [c.upsert(key, 'x', soon), c.getAndLock(key, 10, soon), c.remove(key, soon), c.touch(key, 10, soon)]
    for (const result of await Promise.allSettled(refused)) {
      assert.equal(result.status, 'rejected')
      assert.ok(
        result.reason instanceof couchbase.TimeoutError || result.reason instanceof couchbase.DocumentLockedError,
        `${result.reason}`
      )
      assert.match(JSON.stringify(result.reason.context ?? result.reason.cause), /lock/i)
    }
    assert.equal((await c.get(key)).content, 'before')
    const other = await c.upsert(`${key}:other`, 1)
    await assert.rejects(c.unlock(key, other.cas, soon), is(couchbase.CasMismatchError))
    await c.unlock(key, locked.cas)
    await c.upsert(key, 'after')
    assert.equal((await c.get(key)).content, 'after')
    // A replace with the lock's CAS unlocks, too.
    const again = await c.getAndLock(key, 10)
    await c.replace(key, 'by the owner', { cas: again.cas })
    await c.upsert(key, 'free')
    await assert.rejects(c.getAndLock(`${key}:absent`, 5), is(couchbase.DocumentNotFoundError))
    await assert.rejects(c.unlock(key, again.cas, soon), is(couchbase.DocumentNotLockedError))
    // It ends by itself.
    await c.getAndLock(key, 1)
    await c.upsert(key, 'waited', { timeout: 5000 })
    assert.equal((await c.get(key)).content, 'waited')
  },

  async 'a document that is not there: every way to ask'({ c, key }) {
    const ways = [
      c.get(key), c.getAndTouch(key, 1), c.getAndLock(key, 1), c.replace(key, 1), c.remove(key), c.touch(key, 1),
      c.binary().append(key, 'x'), c.binary().prepend(key, 'x'), c.binary().increment(key, 1),
    ]
    for (const result of await Promise.allSettled(ways)) {
      assert.ok(is(couchbase.DocumentNotFoundError)(result.reason))
    }
  },

  async 'a thousand operations in flight'({ c, key }) {
    const indices = Array.from({ length: 1000 }, (_, i) => i)
    await Promise.all(indices.map((i) => c.upsert(`${key}:${i}`, { i, text: 'x'.repeat(i) })))
    const got = await Promise.all(indices.map((i) => c.get(`${key}:${i}`)))
    got.forEach((doc, i) => assert.deepEqual(doc.content, { i, text: 'x'.repeat(i) }))
    await Promise.all(indices.map((i) => c.remove(`${key}:${i}`)))
    const gone = await Promise.allSettled(indices.map((i) => c.get(`${key}:${i}`)))
    assert.ok(gone.every((r) => r.reason instanceof couchbase.DocumentNotFoundError))
  },

  async 'views'({ c, key, bucketName, connection }) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => c.upsert(`${key}:${n}`, { view: key, n })))
    const bucket = connection.bucket(bucketName)
    const of = (emits) => `function (doc, meta) { if (doc.view === '${key}') { ${emits} } }`
    const design = new couchbase.DesignDocument({
      name: 'sdk',
      views: {
        plain: new couchbase.DesignDocument.View({ map: of('emit(doc.n, meta.id)') }),
        reduced: new couchbase.DesignDocument.View({ map: of('emit([doc.n % 3, doc.n], doc.n)'), reduce: '_sum' }),
      },
    })
    await bucket.viewIndexes().upsertDesignDocument(design, couchbase.DesignDocumentNamespace.Production)
    const list = await bucket.viewIndexes().getAllDesignDocuments({ namespace: couchbase.DesignDocumentNamespace.Production })
    assert.deepEqual(list.map((each) => each.name), ['sdk'])
    const fresh = { scanConsistency: couchbase.ViewScanConsistency.RequestPlus }
    const page = await bucket.viewQuery('sdk', 'plain', { ...fresh, range: { start: 5, end: 15 }, limit: 3, skip: 1 })
    assert.deepEqual(page.rows.map((row) => [row.id, row.key, row.value]), [6, 7, 8].map((n) => [`${key}:${n}`, n, `${key}:${n}`]))
    assert.equal(page.meta.totalRows, 20)
    const keys = await bucket.viewQuery('sdk', 'plain', { ...fresh, keys: [3, 99, 1] })
    assert.deepEqual(keys.rows.map((row) => row.key), [3, 1])
    const sums = await bucket.viewQuery('sdk', 'reduced', { ...fresh, groupLevel: 1 })
    assert.deepEqual(sums.rows.map((row) => [row.key, row.value]), [[[0], 63], [[1], 70], [[2], 57]])
    await assert.rejects(bucket.viewQuery('sdk', 'nothing'), is(couchbase.DesignDocumentNotFoundError))
    await bucket.viewIndexes().dropDesignDocument('sdk', couchbase.DesignDocumentNamespace.Production)
  },

  async 'queries'({ c, key, bucketName, connection }) {
    await Promise.all(Array.from({ length: 10 }, (_, n) => c.upsert(`${key}:${n}`, { query: key, n })))
    const from = `FROM \`${bucketName}\` AS d WHERE d.query = $key`
    const result = await connection.query(`SELECT d.n, META(d).id ${from} AND d.n >= $1 ORDER BY d.n DESC LIMIT 2`, {
      parameters: { key }, raw: { args: [3] }, metrics: true, scanConsistency: couchbase.QueryScanConsistency.RequestPlus,
    })
    assert.deepEqual(result.rows, [9, 8].map((n) => ({ n, id: `${key}:${n}` })))
    assert.equal(result.meta.status, couchbase.QueryStatus.Success)
    assert.equal(result.meta.metrics.resultCount, 2)
    // Prepared the first time, by its name the second.
    for (let i = 0; i < 2; ++i) {
      const counted = await connection.query(`SELECT COUNT(*) AS n ${from}`, { parameters: { key }, adhoc: false })
      assert.deepEqual(counted.rows, [{ n: 10 }])
    }
    const inScope = await connection.bucket(bucketName).defaultScope().query('SELECT RAW n FROM _default USE KEYS ?', { parameters: [[`${key}:4`]] })
    assert.deepEqual(inScope.rows, [4])
    await assert.rejects(connection.query('SELEKT 1'), is(couchbase.ParsingFailureError))
    await assert.rejects(connection.query('SELECT * FROM nowhere', { timeout: 2000 }))
  },

  async 'collections'({ c, key, bucketName, connection }) {
    const bucket = connection.bucket(bucketName)
    const manager = bucket.collections()
    const scope = key.replace(/[^A-Za-z0-9_-]/g, '-')
    await manager.createScope(scope)
    await assert.rejects(manager.createScope(scope), is(couchbase.ScopeExistsError))
    for (const name of ['carts', 'orders']) await manager.createCollection(name, scope)
    const [carts, orders] = ['carts', 'orders'].map((name) => bucket.scope(scope).collection(name))
    await carts.upsert(key, 'in carts')
    await orders.upsert(key, 'in orders')
    await c.upsert(key, 'in neither')
    assert.deepEqual(await Promise.all([carts, orders, c].map(async (one) => (await one.get(key)).content)), ['in carts', 'in orders', 'in neither'])
    await carts.mutateIn('doc', [couchbase.MutateInSpec.upsert('n', 1)], { upsertDocument: true })
    assert.equal((await carts.lookupIn('doc', [couchbase.LookupInSpec.get('n')])).content[0].value, 1)
    await assert.rejects(orders.get('doc'), is(couchbase.DocumentNotFoundError))
    const scopes = await manager.getAllScopes()
    assert.deepEqual(scopes.find((one) => one.name === scope).collections.map((one) => one.name).sort(), ['carts', 'orders'])
    // Made anew it is empty, and has another id than the client knows.
    await manager.dropCollection('carts', scope)
    await manager.createCollection('carts', scope)
    await assert.rejects(carts.get(key), is(couchbase.DocumentNotFoundError))
    await carts.upsert(key, 'again')
    assert.equal((await carts.get(key)).content, 'again')
    await manager.dropScope(scope)
    assert.equal((await c.get(key)).content, 'in neither')
  },

  async 'compression'({ c, key }) {
    // The SDK compresses what it stores, and gets back what others have compressed.
    const text = 'the same words again and again; '.repeat(2000)
    await c.upsert(key, { text })
    assert.deepEqual((await c.get(key)).content, { text })
    await c.mutateIn(key, [couchbase.MutateInSpec.upsert('n', 1)])
    assert.deepEqual((await c.get(key)).content, { text, n: 1 })
  },

  async 'mutation tokens'({ c, key, bucketName }) {
    const first = (await c.upsert(key, 1)).token
    const second = (await c.upsert(key, 2)).token
    const [a, b] = [first, second].map((token) => JSON.parse(JSON.stringify(token)))
    assert.equal(a.bucket_name, bucketName)
    assert.equal(a.partition_id, b.partition_id)
    assert.equal(a.partition_uuid, b.partition_uuid)
    assert.notEqual(a.partition_uuid, '0')
    assert.ok(BigInt(b.sequence_number) > BigInt(a.sequence_number))
  },

  async 'replicas'({ c, key, nodes }) {
    await c.upsert(key, { where: 'everywhere' })
    const all = await c.getAllReplicas(key)
    const copies = Math.min(nodes, 2)
    assert.equal(all.filter((doc) => !doc.isReplica).length, 1)
    assert.equal(all.length, copies)
    for (const doc of all) assert.deepEqual(doc.content, { where: 'everywhere' })
    assert.deepEqual((await c.getAnyReplica(key)).content, { where: 'everywhere' })
  },
  async 'sub-documents: lookups'({ c, key }) {
    const spec = couchbase.LookupInSpec
    await c.upsert(key, { name: 'Ada', list: [1, { deep: [true] }], 'dotted.name': 1, n: null })
    const found = await c.lookupIn(key, [
      spec.get('name'), spec.get('list[1].deep[0]'), spec.get('list[-1]'), spec.exists('n'), spec.exists('none'),
      spec.count('list'), spec.get('`dotted.name`'), spec.get('none.at.all'), spec.get('name.first'), spec.get(''),
    ])
    const values = found.content.slice(0, 7).map((entry) => entry.value)
    assert.deepEqual(values, ['Ada', true, { deep: [true] }, true, false, 2, 1])
    assert.ok(found.content[7].error instanceof couchbase.PathNotFoundError)
    assert.ok(found.content[8].error instanceof couchbase.PathMismatchError)
    assert.deepEqual(found.content[9].value.list, [1, { deep: [true] }])
    assert.equal(found.cas.toString(), (await c.get(key)).cas.toString())
    const sixteen = Array.from({ length: 16 }, () => spec.exists('name'))
    assert.equal((await c.lookupIn(key, sixteen)).content.length, 16)
    await assert.rejects(c.lookupIn(key, [...sixteen, spec.exists('name')]))
    await assert.rejects(c.lookupIn(`${key}:absent`, [spec.get('a')]), is(couchbase.DocumentNotFoundError))
    await c.upsert(`${key}:text`, Buffer.from('no JSON'))
    const text = await c.lookupIn(`${key}:text`, [spec.get('a')])
    assert.ok(text.content[0].error instanceof couchbase.DocumentNotJsonError)
  },

  async 'sub-documents: mutations'({ c, key }) {
    const spec = couchbase.MutateInSpec
    await c.upsert(key, { a: 1, list: [2], keep: { me: 'as I am' } })
    const { cas, content } = await c.mutateIn(key, [
      spec.upsert('a', { b: 2 }), spec.insert('made.by.path', true, { createPath: true }), spec.replace('list[0]', 20),
      spec.arrayAppend('list', 30), spec.arrayPrepend('list', 10), spec.arrayInsert('list[1]', 15),
      spec.arrayAddUnique('list', 40), spec.increment('counter', 5), spec.decrement('counter', 7),
      spec.remove('keep.me'), spec.arrayAppend('many', [1, 2], { multi: true, createPath: true }),
    ])
    assert.equal(content[7].value, 5)
    assert.equal(content[8].value, -2)
    const got = await c.get(key)
    assert.equal(got.cas.toString(), cas.toString())
    assert.deepEqual(got.content, {
      a: { b: 2 }, list: [10, 15, 20, 30, 40], keep: {}, made: { by: { path: true } }, counter: -2, many: [1, 2],
    })
    for (const [failing, error] of [
      [spec.insert('a', 1), couchbase.PathExistsError],
      [spec.replace('none', 1), couchbase.PathNotFoundError],
      [spec.upsert('no.parents', 1), couchbase.PathNotFoundError],
      [spec.arrayAppend('a', 1), couchbase.PathMismatchError],
      [spec.arrayAddUnique('list', 10), couchbase.PathExistsError],
      [spec.upsert('bad..path', 1), couchbase.PathInvalidError],
      [spec.increment('a', 1), couchbase.PathMismatchError],
    ]) {
      // Nothing of a mutation that fails is done.
      await assert.rejects(c.mutateIn(key, [spec.upsert('touched', 1), failing]), is(error))
    }
    assert.equal((await c.get(key)).content.touched, undefined)
    await assert.rejects(c.mutateIn(key, [spec.upsert('a', 1)], { cas: other(cas) }), is(couchbase.CasMismatchError))
    await c.mutateIn(key, [spec.upsert('a', 1)], { cas })

    const { Upsert, Insert } = couchbase.StoreSemantics
    const absent = `${key}:absent`
    await assert.rejects(c.mutateIn(absent, [spec.upsert('a', 1)]), is(couchbase.DocumentNotFoundError))
    await c.mutateIn(absent, [spec.upsert('a', 1)], { storeSemantics: Upsert })
    await assert.rejects(
      c.mutateIn(absent, [spec.upsert('a', 2)], { storeSemantics: Insert }), is(couchbase.DocumentExistsError)
    )
    assert.deepEqual((await c.get(absent)).content, { a: 1 })
    // Of all that count at once, none is lost.
    await Promise.all(Array.from({ length: 50 }, () => c.mutateIn(absent, [spec.increment('n', 1)])))
    assert.equal((await c.get(absent)).content.n, 50)
  },

  async 'sub-documents: extended attributes'({ c, key }) {
    const [look, change] = [couchbase.LookupInSpec, couchbase.MutateInSpec]
    const xattr = { xattr: true }
    const { cas } = await c.upsert(key, { body: 1 })
    await c.mutateIn(key, [
      change.upsert('meta.by', 'node', { xattr: true, createPath: true }),
      change.upsert('stamp', couchbase.MutateInMacro.Cas, xattr),
      change.upsert('body', 2),
    ])
    const found = await c.lookupIn(key, [
      look.get('meta', xattr), look.get('stamp', xattr), look.get('$document.CAS', xattr),
      look.get(couchbase.LookupInMacro.ValueSizeBytes), look.get('none', xattr), look.get('body'),
    ])
    assert.deepEqual(found.content[0].value, { by: 'node' })
    const bytes = Buffer.from(found.content[1].value.slice(2), 'hex').reverse().toString('hex')
    assert.equal(`0x${bytes}`, found.content[2].value)
    assert.equal(found.content[3].value, JSON.stringify({ body: 2 }).length)
    assert.ok(found.content[4].error instanceof couchbase.PathNotFoundError)
    assert.equal(found.content[5].value, 2)
    await assert.rejects(c.replace(key, 0, { cas }), is(couchbase.CasMismatchError))
    // They stay when the body is written, and are not in it.
    await c.replace(key, { body: 3 })
    assert.deepEqual((await c.get(key)).content, { body: 3 })
    assert.deepEqual((await c.lookupIn(key, [look.get('meta.by', xattr)])).content[0].value, 'node')
  },

  async 'data structures'({ c, key }) {
    const list = c.list(`${key}:list`)
    await list.push('b')
    await list.push('c')
    await list.unshift('a')
    assert.deepEqual(await list.getAll(), ['a', 'b', 'c'])
    assert.equal(await list.getAt(1), 'b')
    assert.equal(await list.indexOf('c'), 2)
    await list.removeAt(0)
    assert.equal(await list.size(), 2)
    const map = c.map(`${key}:map`)
    await map.set('one', 1)
    await map.set('two', { deep: 2 })
    assert.deepEqual(await map.get('two'), { deep: 2 })
    assert.equal(await map.exists('three'), false)
    await map.remove('one')
    assert.deepEqual(await map.keys(), ['two'])
    const set = c.set(`${key}:set`)
    assert.equal(await set.add('x'), true)
    assert.equal(await set.add('x'), false)
    await set.add('y')
    assert.equal(await set.contains('y'), true)
    assert.deepEqual((await set.values()).sort(), ['x', 'y'])
    const queue = c.queue(`${key}:queue`)
    for (const item of [1, 2, 3]) await queue.push(item)
    assert.equal(await queue.pop(), 1)
    assert.equal(await queue.size(), 2)
  },

  async 'durability'({ c, key, nodes }) {
    const { Majority, PersistToMajority } = couchbase.DurabilityLevel
    await c.upsert(key, { durable: true }, { durabilityLevel: Majority })
    await c.mutateIn(key, [couchbase.MutateInSpec.upsert('more', nodes)], { durabilityLevel: PersistToMajority })
    assert.deepEqual((await c.get(key)).content, { durable: true, more: nodes })
    await c.remove(key, { durabilityLevel: Majority })
    assert.equal((await c.exists(key)).exists, false)
  },

  async 'persistTo and replicateTo'({ c, key, nodes }) {
    const replicas = nodes > 1 ? 1 : 0
    await c.upsert(key, 1, { durabilityPersistTo: 1 })
    await c.upsert(key, 2, { durabilityPersistTo: 1 + replicas, durabilityReplicateTo: replicas })
    await c.replace(key, 3, { durabilityPersistTo: 0, durabilityReplicateTo: replicas })
    assert.equal((await c.get(key)).content, 3)
    await c.remove(key, { durabilityPersistTo: 1 + replicas, durabilityReplicateTo: replicas })
    await c.insert(key, 4, { durabilityPersistTo: 1 })
    // More copies than there are.
    await assert.rejects(c.upsert(key, 5, { durabilityReplicateTo: replicas + 1 }), couchbase.DurabilityImpossibleError)
    await assert.rejects(c.upsert(key, 5, { durabilityPersistTo: replicas + 2 }), couchbase.DurabilityImpossibleError)
  },

  async 'expiry as it is told'({ c, key }) {
    await c.upsert(key, 1, { expiry: 1000 })
    const soon = (await c.get(key, { withExpiry: true })).expiryTime
    assert.ok(Math.abs(soon - (Date.now() / 1000 + 1000)) < 30, `${soon}`)
    await c.upsert(key, 2, { preserveExpiry: true })
    assert.equal((await c.get(key, { withExpiry: true })).expiryTime, soon)
    await c.upsert(key, 3)
    assert.ok(!(await c.get(key, { withExpiry: true })).expiryTime)
    await c.upsert(`${key}:parts`, { a: 1, b: { c: 2 }, d: 3 })
    assert.deepEqual((await c.get(`${key}:parts`, { project: ['a', 'b.c'] })).content, { a: 1, b: { c: 2 } })
  },
}

// A CAS that is not this one.
const other = (cas) => {
  const text = JSON.parse(JSON.stringify(cas)).toString()
  return (BigInt(text) + 1n).toString()
}

// Not against the shared connection.
async function wrongCredentials(connectionString) {
  for (const [name, secret] of [[user, 'wrong'], ['nobody', password]]) {
    await assert.rejects(
      couchbase.connect(connectionString, { username: name, password: secret }),
      is(couchbase.AuthenticationFailureError)
    )
  }
}

// Garbage costs whoever sends it his connection, and nobody else anything.
async function garbage(connectionString) {
  const port = Number(connectionString.match(/:(\d+)/g)[0].slice(1))
  const say = (bytes) =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.on('close', resolve)
      socket.on('error', () => {})
      socket.resume()
    })
  const huge = Buffer.alloc(24)
  huge[0] = 0x80
  huge.writeUInt32BE(0xffffffff, 8)
  await Promise.all([say('GET / HTTP/1.1\r\nHost: x\r\n\r\nmore'), say(Buffer.alloc(100000, 0xee)), say(huge)])
}

async function testCluster(program, nodes) {
  const started = Date.now()
  const bucketName = nodes === 2 ? 'a-bucket_with.signs' : 'default'
  const cluster = await startCluster(program, [
    '--nodes', `${nodes}`, '--replicas', nodes > 1 ? '1' : '0', '--bucket', bucketName,
    '--user', user, '--password', password,
    '--vbuckets', nodes === 4 ? '64' : '1024',
  ])
  let failures = 0
  const run = async (name, body) => {
    try {
      await body()
    } catch (error) {
      ++failures
      console.error(`FAILED with ${nodes} nodes: ${name}\n`, error)
    }
  }
  const connection = await couchbase.connect(cluster.connectionString, {
    username: user, password, timeouts: { connectTimeout: 10000, kvTimeout: 10000 },
  })
  const c = connection.bucket(bucketName).defaultCollection()
  await run('garbage', () => garbage(cluster.connectionString))
  // All together, but for the start of the one that has to be quick.
  const start = ([name, body], i) =>
    new Promise((inTime) => {
      const running = run(name, () => body({ c, key: `test${i}`, nodes, bucketName, inTime, connection }))
      ends.push(running.then(inTime))
    })
  const ends = []
  const first = 'expiry, touch, getAndTouch'
  await start([first, tests[first]], 0)
  ends.push(run('wrong credentials', () => wrongCredentials(cluster.connectionString)))
  // These look at every document, which holds up the cluster's one thread: not beside those with 200 ms.
  const later = ['views', 'queries']
  const others = Object.entries(tests).filter(([name]) => name !== first)
  others.forEach((test, i) => later.includes(test[0]) || start(test, i + 1))
  await Promise.all(ends)
  others.forEach((test, i) => later.includes(test[0]) && start(test, i + 1))
  await Promise.all(ends)
  await connection.close()
  await stopCluster(cluster)
  const total = Object.keys(tests).length + 2
  console.log(`${nodes} nodes: ${total - failures} of ${total} tests passed in ${Date.now() - started} ms`)
  return failures
}

// Nodes in two server groups, behind a NAT: inside an address where nobody listens, outside the real ones. Chosen by
// name, and by the seed.
async function testExternal(program) {
  const started = Date.now()
  const cluster = await startCluster(program, [
    '--nodes', '2', '--replicas', '1', '--user', user, '--password', password, '--vbuckets', '64', '--groups', 'east,west',
    '--internal-address', '127.0.0.2', '--external-address', '127.0.0.1', '--external-ports', 'translated',
  ])
  let failures = 0
  const networks = ['?network=external', '?network=auto', '']
  for (const network of networks) {
    let connection
    try {
      connection = await couchbase.connect(cluster.connectionString + network, {
        username: user, password, timeouts: { connectTimeout: 10000, kvTimeout: 10000, queryTimeout: 10000 },
      })
      const c = connection.bucket('default').defaultCollection()
      // Enough to need both nodes.
      for (let i = 0; i < 40; ++i) {
        await c.upsert(`key${i}`, i, { durabilityLevel: couchbase.DurabilityLevel.Majority })
        assert.equal((await c.get(`key${i}`)).content, i)
      }
      assert.equal((await c.getAllReplicas('key1')).length, 2)
      assert.deepEqual((await connection.query('SELECT 1 AS one')).rows, [{ one: 1 }])
    } catch (error) {
      ++failures
      console.error(`FAILED with external addresses and '${network}'\n`, error)
    } finally {
      await connection?.close()
    }
  }
  await stopCluster(cluster)
  console.log(`external addresses: ${networks.length - failures} of ${networks.length} tests passed in ${Date.now() - started} ms`)
  return failures
}

// Replication, or disks, that stand still: what is to be durable must not be reported to be so.
async function testStalled(program, what) {
  const started = Date.now()
  const cluster = await startCluster(program, [
    '--nodes', '3', '--replicas', '2', '--user', user, '--password', password, '--vbuckets', '64', `--${what}-delay-ms`, '3600000',
  ])
  const connection = await couchbase.connect(cluster.connectionString, { username: user, password })
  const c = connection.bucket('default').defaultCollection()
  const { Majority, MajorityAndPersistOnMaster, PersistToMajority } = couchbase.DurabilityLevel
  const timeout = 1600
  const fails = (key, options) => ({ key, options: { ...options, timeout }, fails: true })
  const passes = (key, options) => ({ key, options: { ...options, timeout: 10000 }, fails: false })
  const cases = what === 'replication'
    ? [
        passes('a', { durabilityPersistTo: 1 }),
        fails('b', { durabilityReplicateTo: 1 }),
        // Not 2: the SDK counts the active node once more than it is (see below).
        fails('c', { durabilityPersistTo: 3 }),
        fails('d', { durabilityLevel: Majority }),
        fails('e', { durabilityLevel: PersistToMajority }),
      ]
    : [
        passes('a', { durabilityReplicateTo: 2 }),
        passes('b', { durabilityLevel: Majority }),
        // Not durabilityPersistTo 1: the SDK takes a write that the active node has in memory for a persisted one.
        fails('c', { durabilityPersistTo: 3 }),
        fails('d', { durabilityLevel: MajorityAndPersistOnMaster }),
        fails('e', { durabilityLevel: PersistToMajority }),
      ]
  let failures = 0
  await Promise.all(
    cases.map(async (one) => {
      const error = await c.upsert(one.key, 1, one.options).then(() => null, (e) => e)
      const right = one.fails
        ? error instanceof couchbase.TimeoutError || error instanceof couchbase.AmbiguousTimeoutError ||
          error instanceof couchbase.UnambiguousTimeoutError || error instanceof couchbase.DurabilityAmbiguousError
        : error === null
      if (right) return
      ++failures
      console.error(`FAILED with ${what} stalled:`, one, error)
    })
  )
  await connection.close()
  await stopCluster(cluster)
  console.log(`${what} stalled: ${cases.length - failures} of ${cases.length} tests passed in ${Date.now() - started} ms`)
  return failures
}

async function main() {
  const [program, ...sizes] = process.argv.slice(2)
  if (!program) throw new Error('usage: node test.js PATH-OF-CHAISE-CLUSTER [NODES...]')
  let failures = 0
  for (const nodes of sizes.length ? sizes.map(Number) : [1, 2, 4]) failures += await testCluster(program, nodes)
  for (const what of ['replication', 'persistence']) failures += await testStalled(program, what)
  failures += await testExternal(program)
  if (failures) process.exitCode = 1
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
