// Node's `soap` or `strong-soap` against a PortaBilling that serves its own WSDL.  usage: [LAB_NODE=strong-soap] node portabilling.js BASE_URL
const [base] = process.argv.slice(2);
const strong = process.env.LAB_NODE === 'strong-soap';
const soap = strong ? require('strong-soap').soap : require('soap');
const NS = 'http://schemas.portaone.com/soap', AK = '$attributes';
const create = f => new Promise((ok, no) => soap.createClient(`${base}/wsdl/${f}AdminService.wsdl`, { attributesKey: AK, disableCache: true }, (e, c) => e ? no(e) : ok(c)));
const camel = op => op.split('_').map(w => w[0].toUpperCase() + w.slice(1)).join('');
const val = v => {
  if (v === undefined || v === null) return null;
  if (typeof v !== 'object' || v instanceof Date) return v;
  const a = v[AK] || {};
  if (Object.keys(a).some(k => /(^|:)nil$/.test(k) && /^(true|1)$/.test(a[k]))) return null;
  return '$value' in v ? v.$value : v;
};
const items = v => {
  if (v && typeof v === 'object' && !Array.isArray(v)) v = Object.entries(v).filter(([k]) => k !== AK).map(e => e[1])[0];
  return v === undefined || v === null ? [] : Array.isArray(v) ? v : [v];
};
let sid = null;
function call(c, op, req) {
  c.clearSoapHeaders();
  if (sid !== null) {
    if (strong) c.addSoapHeader(`<p:auth_info xmlns:p="${NS}"><session_id>${sid}</session_id></p:auth_info>`);
    else c.addSoapHeader({ auth_info: { session_id: sid } }, '', 'tns', NS);
  }
  return new Promise((ok, no) => c[op]({ [camel(op) + 'Request']: req }, (e, r) => e ? no(e) : ok(r && (Object.entries(r).filter(([k]) => k !== AK).map(x => x[1])[0]) || {})));
}
async function say(op, f) {
  const r = { op };
  try { r.out = await f(); } catch (e) {
    const ft = e.root && e.root.Envelope && (e.root.Envelope.Body || {}).Fault || e.Fault;
    if (ft) { r.fault = val(ft.faultcode); r.said = val(ft.faultstring); } else r.error = String(e && e.message || e).slice(0, 300);
  }
  console.log(JSON.stringify(r));
  return r.out;
}
(async () => {
  const ses = await create('Session'), acc = await create('Account');
  const info = async i => {
    const a = (await call(acc, 'get_account_info', { i_account: i })).account_info;
    if (!a) return { found: false };
    const fs = items(a.service_features);
    return { found: true, id: val(a.id), lastname: val(a.lastname), balance: val(a.balance), credit_limit: val(a.credit_limit),
      features: fs.map(f => val(f.name)), values: items(items(fs[1].attributes)[0].values).map(val) };
  };
  await say('no_auth', () => info(1000000));
  await say('wrong_login', () => call(ses, 'login', { login: 'demo', password: 'no' }));
  sid = await say('login', async () => val((await call(ses, 'login', { login: 'demo', password: 'p&ss<w>"ö' })).session_id));
  await say('info', () => info(1000000));
  await say('list', async () => { const r = await call(acc, 'get_account_list', { limit: 2, offset: 1, get_total: 1 }); return { ids: items(r.account_list).map(a => val(a.i_account)), total: val(r.total) }; });
  await say('update', async () => val((await call(acc, 'update_account', { account_info: { i_account: 1000000, lastname: 'Žlutá <&> "кот" 😀', credit_limit: 12.5 } })).i_account));
  await say('after', () => info(1000000));
  await say('missing', () => info(7));
  await say('logout', async () => val((await call(ses, 'logout', { session_id: sid })).success));
  await say('ended', () => info(1000000));
  process.exit(0);
})().catch(e => { console.log(JSON.stringify({ op: 'setup', error: String(e && e.stack || e).slice(0, 400) })); process.exit(1); });
