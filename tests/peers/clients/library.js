// Node's `soap` or `strong-soap` against a generated server, by the definition that the server gives.  usage: [LAB_NODE=strong-soap] node library.js URL
const [url] = process.argv.slice(2);
const strong = process.env.LAB_NODE === 'strong-soap';
const soap = strong ? require('strong-soap').soap : require('soap');
const NS = 'urn:example:library', AK = '$attributes';
const create = more => new Promise((ok, no) => soap.createClient(`${url}?wsdl`, { attributesKey: AK, disableCache: true, ...more }, (e, c) => e ? no(e) : ok(c)));
const val = v => v && typeof v === 'object' && '$value' in v ? v.$value : v;
const leaves = v => v && typeof v === 'object' ? Object.entries(v).filter(([k]) => k !== AK && k !== 'xmlns').flatMap(e => leaves(e[1])) : [String(v)];
const call = (c, port, op, args) => new Promise((ok, no) => {
  c.clearSoapHeaders();
  if (op === 'Find') c.addSoapHeader(`<Session xmlns="${NS}"><id>12345</id></Session>`);
  c.LibraryService[port][op](args, (e, r, raw, head) => e ? no(e) : ok({ r, raw, head }));
});
async function say(op, f) {
  const r = { op };
  try { r.out = await f(); } catch (e) {
    const ft = e.root && e.root.Envelope && (e.root.Envelope.Body || {}).Fault || e.Fault;
    if (ft) {
      const code = ft.faultcode || (ft.Code || {}).Value;
      r.fault = val(code); r.subcodes = ft.Code && ft.Code.Subcode ? [val(ft.Code.Subcode.Value)] : [];
      r.said = val(ft.faultstring || (ft.Reason && val(ft.Reason.Text))); r.detail = leaves(ft.detail || ft.Detail || {});
    } else r.error = String(e && e.message || e).slice(0, 300);
  }
  console.log(JSON.stringify(r));
}
(async () => {
  const old = await create({}), modern = await create({ forceSoap12Headers: true });
  const find = async (c, port, title) => {
    const { r, raw, head } = await call(c, port, 'Find', { title, limit: 2 });
    const left = head && head.Quota ? Number(val(head.Quota.left)) : Number((/<left[^>]*>(\d+)</.exec(raw) || [])[1]);
    const books = r.book;
    return { ids: books.map(b => b[AK].id), title: val(books[0].title), price: String(val(books[0].price)), authors: books[0].author.map(val), left };
  };
  const rur = { title: 'R.U.R.', year: 1920, author: ['K'] };
  const divide = async divisor => { const { r } = await call(old, 'Sums', 'Divide', { dividend: 17, divisor }); return { quotient: Number(val(r.quotient)), remainder: Number(val(r.remainder)) }; };
  await say('find', () => find(old, 'Wrapped', 'Žlutý <&> кот'));
  await say('none', () => find(old, 'Wrapped', 'nothing'));
  await say('find12', () => find(modern, 'Wrapped12', 'Žlutý <&> кот'));
  await say('none12', () => find(modern, 'Wrapped12', 'nothing'));
  await say('log', async () => { await call(old, 'Wrapped', 'Log', strong ? { Log: { line: 'strong-soap' } } : { line: 'node-soap' }); return null; });
  await say('count', async () => { const { r } = await call(old, 'Bare', 'Count', strong ? { Title: 'кот 😀' } : 'кот 😀'); return Number(val(r && r.Total !== undefined ? r.Total : r)); });
  await say('store', async () => { const { r } = await call(old, 'Bare', 'Store', strong ? { Book: rur } : rur); return (r.Stored || r)[AK].id; });
  await say('divide', () => divide(5));
  await say('zero', () => divide(0));
  await say('swap', async () => { const { r } = await call(old, 'Sums', 'Swap', { pair: { left: 1, right: 2 } }); const s = r.swapped || r; return { left: Number(val(s.left)), right: Number(val(s.right)) }; });
  process.exit(0);
})().catch(e => { console.log(JSON.stringify({ op: 'setup', error: String(e && e.stack || e).slice(0, 400) })); process.exit(1); });
