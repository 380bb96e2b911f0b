# Due times by Debian's libbusiness-hours-perl, for the bench due_rate: cases on standard input, answers on standard output.
#
# Input: one line `ZONE OPEN CLOSE` (Monday to Friday), one line of holidays `YYYY-MM-DD ...`, then `START TARGET` in seconds.
# Output: the seconds that the computing took, parsing apart, then a due (seconds since 1970, or -1) a line.
use strict;
use warnings;
use Business::Hours;
use POSIX qw(tzset);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($zone, $opens, $closes) = split ' ', scalar <STDIN>;
$ENV{TZ} = $zone;
tzset();
my @holidays = split ' ', scalar <STDIN>;
my %week = map { $_ => { Name => "day $_", Start => $opens, End => $closes } } 1 .. 5;
$week{$_} = { Name => "day $_", Start => undef, End => undef } for 0, 6;
my $hours = Business::Hours->new();
$hours->business_hours(%week, holidays => [@holidays]);

my @cases = map { [split] } <STDIN>;
my $began = clock_gettime(CLOCK_MONOTONIC);
my @dues = map { $hours->add_seconds($_->[0], $_->[1]) } @cases;
printf "%.6f\n", clock_gettime(CLOCK_MONOTONIC) - $began;
print "$_\n" for @dues;
