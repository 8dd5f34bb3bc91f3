#!/bin/bash
# SQL text in C qualifies tables, functions, cast types and operators with their schema,
# because a saved plan may be parsed again under another search_path. Names of WITH
# queries are exempt.
find src -name '*.c' ! -path 'src/bin/*' -print0 | xargs -0r perl -0777 -ne '
  my $string = qr/"(?:\\.|[^"\\])*"/;
  s{/\*.*?\*/}{$& =~ tr/\n//cdr}gse;
  s{\b(?:GUC_check_)?err(?:msg|detail|hint)\w*\s*(\((?:[^()"]|$string|(?1))*\))}{$& =~ tr/\n//cdr}ge;
  my %with = map { $_ => 1 } /(\w+) AS (?:MATERIALIZED )?\(/g;
  while (/$string(?:\s*(?:[A-Z_]+\s*)?$string)*/g)
  {
    my ($sql, $at) = ($&, $-[0]);
    next if $sql !~ /\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|LOCK|COMMENT ON)\s/;
    $sql =~ s/"\s*[A-Z_]*\s*"|\\n/ /g;
    $sql =~ s/(?:\bSET|,)\s+\w+ = |DISTINCT FROM|SELECT \*//g;
    my @wrong;
    push @wrong, map { "table $_" } grep { !$with{$_} }
      $sql =~ /\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?([a-z_]\w*)\b(?!\.)/g;
    push @wrong, "function $1" if $sql =~ /(?<![.\w\$%])((?!varchar)[a-z_]\w*)\(/;
    push @wrong, "type $1" if $sql =~ /::\s*((?!(?:bigint|integer|smallint|boolean|varchar)\b)[a-z_]\w*)\b(?!\.)/;
    push @wrong, "operator $1" if $sql =~ /[\w)\]] ([-+*\/<>=~!@|]+) [\w(\$%\x27]/;
    my $line = 1 + (substr($_, 0, $at) =~ tr/\n//);
    print "$ARGV:$line: $_ is not qualified\n" for @wrong;
    $bad ||= @wrong;
  }
  END { exit($bad ? 1 : 0) }'
