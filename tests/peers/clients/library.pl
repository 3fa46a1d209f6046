#!/usr/bin/perl
# SOAP::Lite against a generated server, in literal, without a definition: what it reads of one is rpc only.  usage: library.pl URL
use strict; use warnings; use utf8;
use SOAP::Lite; use JSON::PP;
my ($url) = @ARGV; $| = 1;
my $NS = 'urn:example:library';
my $json = JSON::PP->new->utf8->canonical->allow_nonref->allow_blessed->convert_blessed;
sub client {
    my ($version, $rpc) = @_;
    SOAP::Lite->soapversion($version);   # of the whole program
    my $soap = SOAP::Lite->new->proxy($url, timeout => 30)->on_action(sub { qq("$_[0]#$_[1]") })
        ->on_fault(sub { my ($s, $r) = @_; die ref $r ? $r : "transport: " . $s->transport->status . "\n" });
    $rpc ? $soap->ns($NS, 'tns') : $soap->default_ns($NS);
    $soap->serializer->autotype(0)->encodingStyle('');
    return $soap;
}
sub field { SOAP::Data->name($_[0])->type('string')->value($_[1]) }
sub say_ {
    my ($op, $f) = @_; my $o = eval { $f->() }; my $e = $@; my %r = (op => $op);
    if (ref $e && eval { $e->can('faultcode') }) {
        my $d = $e->faultdetail; my @d; my $walk; $walk = sub { my $v = shift; if (ref $v) { $walk->($_) for values %$v } elsif (defined $v) { push @d, $v } };
        $walk->($d);
        $r{fault} = $e->faultcode; $r{said} = $e->faultstring; $r{detail} = \@d;
        my $v = $e->valueof('//Fault/Code/Value'); $r{fault} = $v if defined $v;
        my $t = $e->valueof('//Fault/Reason/Text'); $r{said} = $t if defined $t;
        if (defined $v) { @d = (); $walk->($e->valueof('//Fault/Detail')); $r{subcodes} = [$e->valueof('//Fault/Code/Subcode/Value')] }
    }
    elsif ($e) { $r{error} = "$e" } else { $r{out} = $o }
    print $json->encode(\%r), "\n";
}
sub find {
    my ($version, $title) = @_;
    my $head = SOAP::Header->name('Session')->attr({ xmlns => $NS })->value(\field(id => '12345'));
    my $som = client($version)->call('Find', field(title => $title), SOAP::Data->name('limit')->type('int')->value(2), $head);
    return { ids => [map { $_->attr->{id} } $som->dataof('//Body/FindResponse/book')], title => scalar $som->valueof('//Body/FindResponse/[1]/title'),
        price => scalar $som->valueof('//Body/FindResponse/[1]/price'), authors => [$som->valueof('//Body/FindResponse/[1]/author')], left => $som->valueof('//Header/Quota/left') };
}
sub divide {
    my $som = client('1.1', 1)->call('Divide', map { SOAP::Data->name($_->[0])->type('int')->value($_->[1]) } [dividend => 17], [divisor => $_[0]]);
    return { quotient => $som->valueof('//Body/DivideResponse/quotient'), remainder => $som->valueof('//Body/DivideResponse/remainder') };
}
say_(find => sub { find('1.1', 'Žlutý <&> кот') });
say_(none => sub { find('1.1', 'nothing') });
say_(find12 => sub { find('1.2', 'Žlutý <&> кот') });
say_(none12 => sub { find('1.2', 'nothing') });
say_(log => sub { client('1.1')->call('Log', field(line => 'soaplite')); undef });
# no `count`: a body that is a simple value it can't write
say_(store => sub { my $som = client('1.1')->call('Book', field(title => 'R.U.R.'), SOAP::Data->name('year')->type('int')->value(1920), field(author => 'K')); $som->dataof('//Body/Stored')->attr->{id} });
say_(divide => sub { divide(5) });
say_(zero => sub { divide(0) });
say_(swap => sub {
    my $som = client('1.1', 1)->call('Swap', SOAP::Data->name('pair')->value(\SOAP::Data->value(map { SOAP::Data->name($_->[0])->type('int')->value($_->[1]) } [left => 1], [right => 2])));
    return { map { $_ => $som->valueof("//Body/SwapResponse/swapped/$_") } qw(left right) };
});
