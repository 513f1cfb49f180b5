# fish completion of weir: weir completion fish > ~/.config/fish/completions/weir.fish
function __weir_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete $words[2..-1] 2>/dev/null
end
complete -c weir -n 'not __fish_seen_subcommand_from read run' -f
complete -c weir -a '(__weir_complete)'
