# Completion of remora for bash: the program itself knows what may come next.
_remora() {
    local kind rest current=$2
    COMPREPLY=()
    while IFS=$'\t' read -r kind rest; do
        case $kind in
            :file)
                compopt -o filenames
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${current#"$rest"}")
                ;;
            :directory)
                compopt -o filenames
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${current#"$rest"}")
                ;;
            *)
                COMPREPLY+=("$kind")
                [[ $kind == *[=:,] ]] && compopt -o nospace
                ;;
        esac
    done < <("$1" --complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
}
complete -F _remora remora
