<?php
// PHP ext-soap against a generated server, by the definition that the server gives.  usage: php library.php URL
[, $url] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
const NS = 'urn:example:library';
$o = ['exceptions' => true, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS];
$old = new SoapClient("$url?wsdl", $o);
$new = new SoapClient("$url?wsdl", $o + ['soap_version' => SOAP_1_2]);

function say($op, $f) {
    try { $r = ['op' => $op, 'out' => $f()]; }
    catch (SoapFault $e) {
        $detail = [];
        $values = json_decode(json_encode($e->detail ?? []), true);
        array_walk_recursive($values, function ($v) use (&$detail) { $detail[] = (string) $v; });
        $r = ['op' => $op, 'fault' => $e->faultcode, 'said' => $e->getMessage(), 'detail' => $detail];
    }
    echo json_encode($r, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
}
$find = function ($c, $title) {
    $out = [];
    $r = $c->__soapCall('Find', [['title' => $title, 'limit' => 2]], null, new SoapHeader(NS, 'Session', ['id' => '12345']), $out);
    $b = $r->book;
    return ['ids' => array_map(fn($b) => $b->id, $b), 'title' => $b[0]->title, 'price' => $b[0]->price,
            'authors' => $b[0]->author, 'left' => $out['Quota']->left];
};
$divide = function ($divisor) use ($old) {
    $r = $old->Divide($divisor, 17);   // by position, as the message has its parts
    return ['quotient' => $r['quotient'], 'remainder' => $r['remainder']];
};
say('find', fn() => $find($old, 'Žlutý <&> кот'));
say('none', fn() => $find($old, 'nothing'));
say('find12', fn() => $find($new, 'Žlutý <&> кот'));
say('none12', fn() => $find($new, 'nothing'));
say('log', fn() => $old->Log(['line' => 'php']));
say('count', fn() => $old->Count('кот 😀'));
say('store', fn() => $old->Store(['title' => 'R.U.R.', 'year' => 1920, 'author' => ['K']])->id);
say('divide', fn() => $divide(5));
say('zero', fn() => $divide(0));
say('swap', fn() => $old->Swap(['left' => 1, 'right' => 2]));
