#!/usr/bin/perl
# SOAP::Lite without a WSDL, as PortaBilling's own examples do it.  usage: portabilling.pl BASE_URL
use strict; use warnings; use utf8;
use SOAP::Lite; use JSON::PP; use Scalar::Util 'reftype';
my ($base) = @ARGV; $| = 1;
my $NS = 'http://schemas.portaone.com/soap';
my $json = JSON::PP->new->utf8->canonical->allow_nonref->allow_blessed->convert_blessed;
my $sid;
sub s_ { my ($n, $v) = @_; SOAP::Data->name($n)->type('string')->value($v) }
sub call {
    my ($service, $op, @fields) = @_;
    my $soap = SOAP::Lite->proxy("$base/soap/$service/$op", timeout => 30)->ns($NS, 'tns')->on_action(sub { qq("$_[0]#$_[1]") })
        ->on_fault(sub { my ($s, $r) = @_; die ref $r ? $r : "transport: " . $s->transport->status . "\n" });
    my @head = defined $sid ? SOAP::Header->name('tns:auth_info')->value(\s_(session_id => $sid)) : ();
    my $v = $soap->call($op, SOAP::Data->name('c-gensym5')->value(\SOAP::Data->value(@fields)), @head)->result;
    return ref $v ? $v : {};
}
sub list { my $v = shift; my $t = reftype($v) // ''; $t eq 'ARRAY' ? @$v : $t eq 'HASH' ? (map { ref $_ eq 'ARRAY' ? @$_ : $_ } values %$v) : () }
sub say_ {
    my ($op, $f) = @_; my $o = eval { $f->() }; my $e = $@; my %r = (op => $op);
    if (ref $e && eval { $e->can('faultcode') }) { $r{fault} = $e->faultcode; $r{said} = $e->faultstring }
    elsif ($e) { $r{error} = "$e" } else { $r{out} = $o }
    print $json->encode(\%r), "\n"; return $o;
}
sub info {
    my $a = call(Account => 'get_account_info', SOAP::Data->name('i_account')->type('int')->value($_[0]))->{account_info};
    return { found => JSON::PP::false } unless ref $a;
    my @f = list($a->{service_features}); my ($first) = list($f[1]{attributes});
    return { found => JSON::PP::true, (map { $_ => $a->{$_} } qw(id lastname balance credit_limit)), features => [map { $_->{name} } @f], values => [list($first->{values})] };
}
say_(no_auth => sub { info(1000000) });
say_(wrong_login => sub { call(Session => 'login', s_(login => 'demo'), s_(password => 'no')) });
$sid = say_(login => sub { call(Session => 'login', s_(login => 'demo'), s_(password => 'p&ss<w>"ö'))->{session_id} });
say_(info => sub { info(1000000) });
say_(list => sub { my $r = call(Account => 'get_account_list', map { SOAP::Data->name($_->[0])->type('int')->value($_->[1]) } [limit => 2], [offset => 1], [get_total => 1]);
    return { ids => [map { $_->{i_account} } list($r->{account_list})], total => $r->{total} } });
say_(update => sub { call(Account => 'update_account', SOAP::Data->name('account_info')->value(\SOAP::Data->value(SOAP::Data->name('i_account')->type('int')->value(1000000),
    s_(lastname => 'Žlutá <&> "кот" 😀'), SOAP::Data->name('credit_limit')->type('float')->value(12.5))))->{i_account} });
say_(after => sub { info(1000000) });
say_(missing => sub { info(7) });
say_(logout => sub { call(Session => 'logout', s_(session_id => $sid))->{success} });
say_(ended => sub { info(1000000) });
