# Completion of remora for fish: the program itself knows what may come next.
function __remora_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] --complete fish $words[2..] "$current" 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case :file
                string replace -r '^' -- "$parts[2]" (__fish_complete_path (string replace -- "$parts[2]" '' $current))
            case :directory
                string replace -r '^' -- "$parts[2]" (__fish_complete_directories (string replace -- "$parts[2]" '' $current) '')
            case '*'
                echo $line
        end
    end
end
complete -c remora -f -a '(__remora_complete)'
