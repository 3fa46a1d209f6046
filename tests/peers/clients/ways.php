<?php
// PHP ext-soap says who it is in every way that PortaBilling takes.  usage: php ways.php BASE_URL LOGIN PASSWORD TOKEN
// Prints one line for each: {"op": way, "out": the account's id and last name} or {"op", "fault"}.
[, $base, $login, $password, $token] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
const NS = 'http://schemas.portaone.com/soap';

function client($base, $service, $headers = [])
{
    $http = stream_context_create(['http' => ['header' => implode("\r\n", $headers)]]);
    return new SoapClient("$base/wsdl/{$service}AdminService.wsdl", ['exceptions' => true, 'keep_alive' => true,
        'features' => SOAP_SINGLE_ELEMENT_ARRAYS, 'stream_context' => $http]);
}
function call($client, $op, $request, $auth_info = null)
{
    $header = $auth_info === null ? null : new SoapHeader(NS, 'auth_info', new SoapVar($auth_info, SOAP_ENC_OBJECT));
    return $client->__soapCall($op, [$request], null, $header);
}
function say($op, $f)
{
    try { $r = ['op' => $op, 'out' => $f()]; }
    catch (SoapFault $e) { $r = ['op' => $op, 'fault' => $e->faultcode, 'said' => $e->getMessage()]; }
    echo json_encode($r, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
    return $r['out'] ?? null;
}
function account($client, $auth_info = null)
{
    $a = call($client, 'get_account_info', ['i_account' => 1000001], $auth_info)->account_info;
    return [$a->id, $a->lastname];
}
$ses = client($base, 'Session');
$acc = client($base, 'Account');
$given = call($ses, 'login', ['login' => $login, 'password' => $password]);
$cookies = $ses->__getCookies();

say('session_id', fn() => account($acc, ['session_id' => $given->session_id]));
say('access_token', fn() => account($acc, ['access_token' => $given->access_token]));
say('inline', fn() => account($acc, ['login' => $login, 'password' => $password]));
say('inline_token', fn() => account($acc, ['login' => $login, 'token' => $token]));
say('bearer', fn() => account(client($base, 'Account', ["Authorization: Bearer {$given->access_token}"])));
say('cookie', function () use ($base, $cookies) {
    $client = client($base, 'Account');
    foreach ($cookies as $name => $cookie) $client->__setCookie($name, $cookie[0]);
    return account($client);
});
say('api_token', fn() => account($acc, ['session_id' => call(client($base, 'Session'), 'login', ['login' => $login, 'token' => $token])->session_id]));
say('realm', fn() => account($acc, ['session_id' => call($ses, 'login_to_realm', ['login' => 'u', 'realm' => 'accounts'], ['session_id' => $given->session_id])->session_id]));
say('ping', fn() => call($ses, 'ping', ['access_token' => $given->access_token], ['session_id' => $given->session_id])->user_id);
$fresh = call($ses, 'refresh_access_token', ['refresh_token' => $given->refresh_token]);
say('refreshed', fn() => account(client($base, 'Account', ["Authorization: Bearer {$fresh->access_token}"])));
say('wrong_inline', fn() => account($acc, ['login' => $login, 'password' => 'no']));
say('wrong_bearer', fn() => account(client($base, 'Account', ['Authorization: Bearer a.b.c'])));
say('nothing', fn() => account(client($base, 'Account')));
say('logout', fn() => call($ses, 'logout', ['session_id' => $given->session_id], ['session_id' => $given->session_id])->success);
say('ended', fn() => account($acc, ['session_id' => $given->session_id]));
