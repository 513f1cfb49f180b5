#compdef weir
# zsh completion of weir: put it into a folder of $fpath as _weir, or source <(weir completion zsh)
_weir() {
    local line text
    local -a lines open whole
    lines=("${(@f)$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        text="${line%%$'\t'*}"
        [[ -z $text ]] && continue
        if [[ $text == */ ]]; then open+=("$text"); else whole+=("$text"); fi
    done
    (( ${#whole} )) && compadd -- "${whole[@]}"
    (( ${#open} )) && compadd -S '' -- "${open[@]}"
    (( ${#whole} + ${#open} )) || _files
}
if [[ ${funcstack[1]} == _weir ]]; then _weir "$@"; else compdef _weir weir; fi
