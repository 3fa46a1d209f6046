<?php
// PHP ext-soap against a PortaBilling that serves its own WSDL.  usage: php portabilling.php BASE_URL
[, $base] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
const NS = 'http://schemas.portaone.com/soap';
$o = ['exceptions' => true, 'keep_alive' => true, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS];
$ses = new SoapClient("$base/wsdl/SessionAdminService.wsdl", $o);
$acc = new SoapClient("$base/wsdl/AccountAdminService.wsdl", $o);

function say($op, $f) {
    try { $r = ['op' => $op, 'out' => $f()]; }
    catch (SoapFault $e) { $r = ['op' => $op, 'fault' => $e->faultcode, 'said' => $e->getMessage()]; }
    echo json_encode($r, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
    return $r['out'] ?? null;
}
$sid = null;
$with = function ($c, $op, $req) use (&$sid) {
    $h = $sid === null ? null : new SoapHeader(NS, 'auth_info', new SoapVar(['session_id' => $sid], SOAP_ENC_OBJECT));
    return $c->__soapCall($op, [$req], null, $h);
};
$info = function ($i) use ($with, $acc) {
    $a = $with($acc, 'get_account_info', ['i_account' => $i])->account_info ?? null;
    if ($a === null) return ['found' => false];
    return ['found' => true, 'id' => $a->id, 'lastname' => $a->lastname, 'balance' => $a->balance, 'credit_limit' => $a->credit_limit ?? null,
            'features' => array_map(fn($f) => $f->name, $a->service_features), 'values' => $a->service_features[1]->attributes[0]->values];
};
say('no_auth', fn() => $info(1000000));
say('wrong_login', fn() => $with($ses, 'login', ['login' => 'demo', 'password' => 'no']));
$sid = say('login', fn() => $with($ses, 'login', ['login' => 'demo', 'password' => 'p&ss<w>"ö'])->session_id);
say('info', fn() => $info(1000000));
say('list', function () use ($with, $acc) {
    $r = $with($acc, 'get_account_list', ['limit' => 2, 'offset' => 1, 'get_total' => 1]);
    return ['ids' => array_map(fn($a) => $a->i_account, $r->account_list), 'total' => $r->total];
});
say('update', fn() => $with($acc, 'update_account', ['account_info' => ['i_account' => 1000000, 'lastname' => 'Žlutá <&> "кот" 😀', 'credit_limit' => 12.5]])->i_account);
say('after', fn() => $info(1000000));
say('missing', fn() => $info(7));
say('logout', fn() => $with($ses, 'logout', ['session_id' => $sid])->success);
say('ended', fn() => $info(1000000));
