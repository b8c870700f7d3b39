# Keeps a server in a directory. Reads orders, a line each, and answers each with a line. When
# there is nobody left who could give one, it ends the server and removes the directory: the end of
# its input is the one thing that whoever started it cannot fail to say, however it dies.
directory=$1
shift
server= children=

# Who gave the order may be gone before the answer; and when it goes while the server is stopped, the
# kernel hangs up on both of us.
trap '' HUP PIPE

# Signals the processes until each is in one of the states: T stopped, Z or X ended. The kernel may
# have let go on what was stopped a moment ago.
settle() { # signal, states, processes
    signal=$1 states=$2
    shift 2
    for process; do
        while :; do
            kill -s "$signal" "$process"
            state=X
            read -r _ _ state _ <"/proc/$process/stat"
            case $states in *"$state"*) break ;; esac
        done
    done
}

# The server first: from then on it starts nothing more.
freeze() {
    settle STOP TZX "$server"
    children=$(cat "/proc/$server/task/$server/children")
    settle STOP TZX $children
}

thaw() {
    kill -s CONT $children "$server"
}

# Nobody else is ever hit: an ended process keeps its number until its parent has waited for it.
end() {
    [ -n "$server" ] || return
    freeze
    settle KILL ZX $children
    kill -s KILL "$server"
    wait "$server"
    server=
    forget
}

# A PostgreSQL server that is killed leaves shared memory behind, of which a system has only so many
# pieces. The seventh line of this file names its key and its id.
forget() {
    segment=$(sed -n '7s/.* //p' data/postmaster.pid) && ipcrm -m "$segment"
}

# To a server that has ended by itself there is nothing to be said.
is_alive() {
    state=X
    read -r _ _ state _ <"/proc/$server/stat"
    case $state in Z | X) false ;; esac
}

while read -r order; do
    answer=done
    case $order in
    start)
        "$@" >>"$directory/log" 2>&1 &
        server=$!
        answer=$server
        ;;
    freeze) is_alive && freeze || answer=dead ;;
    thaw) is_alive && thaw || answer=dead ;;
    look) is_alive || answer=dead ;;
    kill) end ;;
    esac
    echo "$answer"
done

end
rm -rf -- "$directory"
