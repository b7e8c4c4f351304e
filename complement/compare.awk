# Compares results. Each file has lines `PACKAGE NAME RESULT`; the list of required names has no RESULT. Says what is worse than
# before, a line each, and exits with 1 if anything is.
#
#   awk -f compare.awk -v whole=1 NODES COMMITTED REQUIRED
#
# NODES      of this run, inner tests too: a name that has become an inner test has not vanished
# COMMITTED  leaves of the run that was committed
# REQUIRED   names that must pass
# narrow=1   tests below a test were chosen: only names that ran are compared
# whole=1    every package ran whole: each name must be there. Otherwise those below a test that ran must be.
/^#/ || NF == 0 { next }
{ name = $1 " " $2 }
FILENAME == ARGV[1] {
    now[name] = $3
    sub(/\/.*/, "", $2)
    ran[$1 " " $2] = 1
}
FILENAME == ARGV[2] {
    if (!(name in now)) {
        if (expected()) say("vanished: " name)
    } else if ($3 == "PASS" && now[name] != "PASS") {
        say("fails newly: " name " (" now[name] ")")
    }
}
FILENAME == ARGV[3] {
    if (!(name in now)) {
        if (expected()) say("required and not there: " name)
    } else if (now[name] != "PASS") {
        say("required and does not pass: " name " (" now[name] ")")
    }
}

function expected(    test) {
    if (whole) return 1
    if (narrow) return 0
    test = $2
    sub(/\/.*/, "", test)
    return ($1 " " test) in ran
}

function say(sentence) {
    if (!(sentence in said)) print sentence
    said[sentence] = 1
    worse = 1
}

END { exit worse }
