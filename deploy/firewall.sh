# Keeps training away from what listens on the host itself. Docker keeps networks apart, but a published port is the
# host's (docker-proxy listens for it), and the host is every bridge's gateway: containers reach it there. New
# connections from the training network to the host are dropped; answers to the host still pass.
set -u

# Debian's speaks nftables; an old kernel has the other one only. Either counts beside the host's own rules.
iptables=iptables
iptables --wait --list-rules INPUT >/dev/null 2>&1 || iptables=iptables-legacy

rule() {
    $iptables --wait "$1" INPUT --in-interface "$TRAINING_BRIDGE" --match conntrack --ctstate NEW --jump DROP
}

if [ "${1:-}" = --check ]; then
    rule --check
    exit
fi
trap 'rule --delete; exit 0' TERM INT
while :; do
    rule --check 2>/dev/null || rule --insert || exit 1
    sleep 10 &
    wait $!
done
