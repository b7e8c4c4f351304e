# Of the output of a Go test program with -test.v=test2json: the result of each test, a line `PACKAGE NAME RESULT`. A leaf has no
# tests below it: `-v all=1` gives the others, too. A test that began and did not end, as when the program died, has failed.
#
#   awk -f leaves.awk -v package=tests/csapi csapi.log
{
    # A line of the frame begins with the byte 0x16; what a test printed without a line end may stand before it.
    at = index($0, "\026")
    if (!at) next
    line = substr($0, at + 1)
    sub(/^ +/, "", line)
    if (line ~ /^=== RUN /) {
        split(line, word, / +/)
        begin(word[3])
    } else if (line ~ /^--- (PASS|FAIL|SKIP): /) {
        split(line, word, / +/)
        begin(word[3])
        sub(/:$/, "", word[2])
        result[word[3]] = word[2]
    }
}

function begin(name) {
    if (!(name in result)) result[name] = "FAIL"
    while (sub(/\/[^\/]*$/, "", name)) inner[name] = 1
}

END {
    for (name in result) if (all || !(name in inner)) print package, name, result[name]
}
