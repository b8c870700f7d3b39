# Keeps a Redis server in a network namespace. Reads orders, a line each, and answers each with a
# line. When nobody is left who could give one, however they ended, it removes everything.
name=$1 network=$2 cables=$3 port=$4
server=

# Who gave the order may be gone before the answer.
trap '' HUP INT PIPE

# The names of the near ends have at most 15 characters.
make() {
    ip netns add "$name" || return
    ip -n "$name" link set lo up
    cable=0
    while [ "$cable" -lt "$cables" ]; do
        near="${name}n$cable" far="far$cable" here=$((4 * cable + 1)) there=$((4 * cable + 2))
        ip link add "$near" type veth peer name "$far" netns "$name" || return
        ip addr add "$network.$here/30" dev "$near" && ip link set "$near" up || return
        ip -n "$name" addr add "$network.$there/30" dev "$far" || return
        ip -n "$name" link set "$far" up || return
        cable=$((cable + 1))
    done
}

if refused=$(make 2>&1); then
    ip netns exec "$name" redis-server --bind 0.0.0.0 --port "$port" --save '' --protected-mode no \
        >log 2>&1 &
    server=$!
    echo ready
else
    echo "${refused:-there is no ip command}"
fi

while read -r order cable; do
    case $order in
    up | down) ip -n "$name" link set "far$cable" "$order" ;;
    esac
    echo "done"
done

if [ -n "$server" ]; then
    kill -s KILL "$server"
    wait "$server"
fi
# The kernel takes its time with the ends that go with the namespace.
cable=0
while [ "$cable" -lt "$cables" ]; do
    ip link del "${name}n$cable" 2>/dev/null
    cable=$((cable + 1))
done
ip netns del "$name" 2>/dev/null
