#!/usr/bin/perl
# PortaBilling's services Session and Account on SOAP::Lite, with a memory.  usage: portabilling.pl PORT [WSDLDIR]
#
# What soaplite.pl doesn't have: users, sessions that end, tokens that are renewed, accounts that keep what an update
# has made of them, lists with a cap. The wire is SOAP::Lite's; what it carries is soaplite.pl's model.
# One process with every connection in one loop, so that all see the same sessions.
#   GET /count                logins, renewals, logouts and calls since the start, as JSON
#   GET /end-sessions         every session and token ends
#   GET /charset/iso-8859-2   answers are in this character set from now on
#   get_account_info with an id `fault:CODE` answers with that fault
use strict; use warnings; use utf8;
use FindBin; use Encode (); use IO::Select; use HTTP::Daemon; use HTTP::Response; use MIME::Base64 'encode_base64url';
use SOAP::Transport::HTTP; use JSON::PP;
require "$FindBin::Bin/soaplite.pl";

package PortaBilling;
use Time::HiRes 'time';   # a token of one second is to live one second
our @ISA = ('SOAP::Server::Parameters');
our ($http, $charset, @cookies) = (undef, 'utf-8');
our %count = (login => 0, renew => 0, logout => 0, call => 0);
my $lifetime = $ENV{LAB_LIFETIME} || 900;
my %users = (demo => { password => 'p&ss<w>"ö', token => 'api-tøken' }, old => { password => 'x', fault => 'alert_You_must_change_password' });
my (%sessions, %tokens, %refresh, $serial, $wrong);   # each token and session -> when it ends; refresh token -> session
my $CAP = 4;   # rows of a list: fewer than are asked for, as PortaBilling does
my %accounts;
sub fill { %accounts = map { $_ => Lab::account($_) } 1001 .. 1010 }

sub given {
    my ($session) = @_;
    my ($now, $n) = (time(), ++$serial);
    my $claims = JSON::PP->new->canonical->utf8->encode({ i_user => 42, jti => $session, iat => int $now, exp => int($now + $lifetime), realm => 'admin' });
    my $token = join '.', MIME::Base64::encode_base64url('{"alg":"RS256"}'), MIME::Base64::encode_base64url($claims), "signed$n";
    my $refresh = sprintf '%032x', 0x1000 + $n;
    $sessions{$session} = $tokens{$token} = $now + $lifetime;
    $refresh{$refresh} = $session;
    my @t = gmtime($now + $lifetime);
    return (session_id => $session, access_token => $token, refresh_token => $refresh, expires_in => $lifetime,
            expires_at => sprintf('%04d-%02d-%02d %02d:%02d:%02d', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0]));
}
sub session { return given(sprintf '%032x', ++$serial) }
sub text { my $v = shift; return defined $v && !ref $v ? $v : '' }
# who the login and password, or API token, belong to
sub user {
    my ($r) = @_;
    my $u = $users{ text($r->{login}) };
    return unless $u && (text($r->{token}) ne '' ? $r->{token} eq $u->{token} : text($r->{password}) eq $u->{password});
    return $u;
}
sub login {
    my $r = Lab::req(@_); $count{login}++;
    if (my $u = user($r)) {
        Lab::fault("Server.Session.$u->{fault}", 'You must change password') if $u->{fault};
        $wrong = 0;
        my %g = session();
        @cookies = map { "$_=$g{$_}; Path=/; Secure; HttpOnly" } qw(session_id access_token);
        return Lab::reply(LoginResponse => \%g);
    }
    Lab::fault('Server.Session.cannot_login_brute_force_activity', 'Too many failed logins') if ++$wrong > 2;
    Lab::fault('Server.Session.auth_failed', 'Invalid login or password <&>', login => text($r->{login}));
}
sub login_to_realm { auth(@_); Lab::reply(LoginResponse => { session() }) }
sub logout { my $r = Lab::req(@_); $count{logout}++; delete $sessions{ text($r->{session_id}) }; delete $tokens{ text($r->{access_token}) }; Lab::reply(LogoutResponse => { success => 1 }) }
sub ping {   # a dead session is a success without a user
    my $r = Lab::req(@_);
    Lab::reply(PingResponse => { user_id => good($sessions{ text($r->{session_id}) }) || good($tokens{ text($r->{access_token}) }) ? 42 : 0 });
}
sub refresh_access_token {
    my $session = delete $refresh{ text(Lab::req(@_)->{refresh_token}) }; $count{renew}++;
    Lab::fault('Server.Session.refresh_access_token.refresh_failed', 'Refresh failed') unless defined $session && $sessions{$session};
    my %g = given($session); delete $g{session_id};
    Lab::reply(RefreshAccessTokenResponse => \%g);
}
sub good { my $end = shift; return defined $end && $end > time() }
sub end_sessions { %sessions = %tokens = %refresh = () }
# auth_info in each form, Authorization: Bearer, and the cookies of a login
sub auth {
    my $h = $_[-1]->valueof('//Header/auth_info'); $count{call}++;
    $h = {} unless ref $h;
    my ($bearer) = ($http->header('Authorization') // '') =~ /^Bearer (\S+)$/;
    my %cookie = map { /^\s*([^=]+)=(.*?)\s*$/ ? ($1, $2) : () } split /;/, $http->header('Cookie') // '';
    my ($session, $token) = (text($h->{session_id}) || $cookie{session_id}, text($h->{access_token}) || $bearer || $cookie{access_token});
    return if text($h->{login}) ne '' ? user($h) : good($sessions{ $session // '' }) || good($tokens{ $token // '' });
    Lab::fault('Client.check_auth.envelope_missed', 'No authentication') unless %$h || $bearer || %cookie;
    Lab::fault('Client.Session.check_auth.failed_to_process_access_token', 'The token is not valid') if $token && !$session;
    Lab::fault('Server.Session.check_auth.auth_failed', 'Authentification failed');
}
sub get_account_info {
    my $r = Lab::req(@_); auth(@_);
    Lab::fault($1, 'As you wish') if text($r->{id}) =~ /^fault:(.*)$/;
    my ($found) = grep { text($r->{id}) eq '' ? $_->{i_account} eq ($r->{i_account} // 0) : $_->{id} eq $r->{id} } values %accounts;
    Lab::reply(GetAccountInfoResponse => $found ? { account_info => $found } : {});   # not found is a success without it
}
sub get_account_list {
    my $r = Lab::req(@_); auth(@_);
    my @all = map { $accounts{$_} } sort keys %accounts;
    my ($offset, $limit) = ($r->{offset} || 0, $r->{limit} || $CAP);
    my $last = $offset + ($limit < $CAP ? $limit : $CAP) - 1;
    Lab::reply(GetAccountListResponse => { account_list => [grep { defined } @all[$offset .. ($last > $#all ? $#all : $last)]], $r->{get_total} ? (total => scalar @all) : () });
}
sub update_account {
    my $r = Lab::req(@_); auth(@_);
    my $change = ref $r->{account_info} ? $r->{account_info} : {};
    my $account = $accounts{ text($change->{i_account}) } or Lab::fault('Server.Account.update_account.not_found', 'No such account');
    Lab::fault('Client.Account.too_short.account_info.login', 'The login is too short') if exists $change->{login} && length text($change->{login}) < 3;
    Lab::fault('Server.Account.duplicate_id', 'There is one already') if grep { $_ != $account && $_->{id} eq text($change->{id}) } values %accounts;
    # absent stays, nil (undefined) clears, a value sets
    $account->{$_} = Lab::show($change->{$_}) eq '!ref' ? $account->{$_} : $change->{$_} for keys %$change;
    Lab::reply(UpdateAccountResponse => { i_account => $account->{i_account} });
}

package main;
sub handler {
    my $s = SOAP::Transport::HTTP::Server->new;
    $s->dispatch_with({ $Lab::NS => 'PortaBilling' })->dispatch_to('PortaBilling');
    $s->serializer->ns($Lab::NS, 'tns'); $s->serializer->readable(0); $s->serializer->encoding($PortaBilling::charset);
    return $s;
}
sub soap {
    my $r = shift;
    ($PortaBilling::http, @PortaBilling::cookies) = ($r);
    my $s = handler();
    $s->request($r); $s->handle;
    my $answer = $s->response;
    $answer->push_header('Set-Cookie' => $_) for @PortaBilling::cookies;
    return $answer;
}
sub respond_to {
    my $r = shift;
    my $plain = sub { HTTP::Response->new(200, undef, ['Content-Type' => 'application/json'], JSON::PP->new->canonical->encode(\%PortaBilling::count)) };
    my $path = $r->uri->path;
    return soap($r) if $path =~ m{^/soap/(Session|Account)/\w+$|^/Porta/SOAP/(Session|Account)$};
    return $plain->() if $path eq '/count';
    if ($path eq '/end-sessions') { PortaBilling::end_sessions(); return $plain->() }
    if ($path =~ m{^/charset/([\w-]+)$}) { $PortaBilling::charset = $1; return $plain->() }
    return HTTP::Response->new(404);
}
my ($port, $dir) = @ARGV;
Lab::setup('rpc', $dir || 'wsdl');
push @{ $Lab::data->{types}{$_} }, ['expires_in', 'int'] for qw(LoginResponse RefreshAccessTokenResponse);
PortaBilling::fill();
$SIG{PIPE} = 'IGNORE';
my $daemon = HTTP::Daemon->new(LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1, Listen => 64) or die "listen: $!";
my $open = IO::Select->new($daemon);
while (1) {
    for my $c ($open->can_read) {
        if ($c == $daemon) { $open->add($daemon->accept || next); next }
        my $r = $c->get_request;
        if ($r) { $c->send_response(respond_to($r)) }
        if (!$r || ($r->header('Connection') // '') =~ /close/i) { $open->remove($c); $c->close }
    }
}
