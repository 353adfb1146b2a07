// What the shells source. Each script gives the words of the line to `daxvmmctl __complete`, which prints a candidate a
// line, with a tab and its meaning, and the line ":files" where files of the host may stand.
//
// Candidates may be names that a guest has chosen: none of the scripts ever gives one to the shell to be read again.
#include "control/ctl/completion.h"

namespace daxvmm::control {
namespace {

constexpr char kBash[] = R"script(# bash completion of daxvmmctl: source <(daxvmmctl completion bash)
_daxvmmctl() {
  local cur word line candidate char quote i
  local -a words=() found=()
  COMPREPLY=()
  # readline splits at "=" and ":", which are parts of words here; and words come as they were typed, quotes and all.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $word == [=:]* || ${COMP_WORDS[i - 1]} == *[=:] ]] && ((${#words[@]} > 0)) &&
      [[ $COMP_LINE == *"${words[-1]}$word"* ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  ((${#words[@]} > 0)) || words=("")
  local raw=${words[-1]}
  for i in "${!words[@]}"; do
    word='' quote='' line=${words[i]}
    while [[ -n $line ]]; do
      char=${line:0:1} line=${line:1}
      if [[ -z $quote && ( $char == \' || $char == \" ) ]]; then
        quote=$char
      elif [[ -n $quote && $char == "$quote" ]]; then
        quote=''
      elif [[ $char == \\ && $quote != \' && -n $line ]]; then
        word+=${line:0:1} line=${line:1}
      else
        word+=$char
      fi
    done
    words[i]=$word
  done
  cur=${words[-1]}
  # What readline takes for the word ends behind the last of its breaks.
  local broken=
  if [[ $raw == *[=:]* ]]; then
    broken=${cur%"${cur##*[=:]}"}
  fi
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
      done < <(compgen -f -- "${cur#"$broken"}")
      continue
    fi
    candidate=${line%%$'\t'*}
    found+=("${candidate#"$broken"}")
  done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
  for candidate in "${found[@]}"; do
    printf -v candidate %q "$candidate"
    COMPREPLY+=("$candidate")
  done
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _daxvmmctl daxvmmctl
)script";

constexpr char kZsh[] = R"script(#compdef daxvmmctl
# zsh completion of daxvmmctl: source <(daxvmmctl completion zsh), after compinit
_daxvmmctl() {
  local line candidate meaning files=0
  local -a typed candidates shown
  typed=("${(@Q)words[2,CURRENT]}")
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      files=1
      continue
    fi
    candidate=${line%%$'\t'*}
    meaning=
    [[ $line == *$'\t'* ]] && meaning=${line#*$'\t'}
    candidates+=("$candidate")
    shown+=("$candidate${meaning:+  -- $meaning}")
  done < <("${(Q)words[1]}" __complete "${typed[@]}" 2>/dev/null)
  (( ${#candidates} )) && compadd -l -d shown -a candidates
  (( files )) && _files
  return 0
}
compdef _daxvmmctl daxvmmctl
)script";

constexpr char kFish[] = R"script(# fish completion of daxvmmctl: daxvmmctl completion fish | source
function __daxvmmctl_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    for line in ($program __complete $words "$current" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$current"
        else
            printf '%s\n' "$line"
        end
    end
end
complete -c daxvmmctl -f -a '(__daxvmmctl_complete)'
)script";

}  // namespace

std::string CompletionScript(Shell shell) {
  switch (shell) {
    case Shell::kBash:
      return kBash;
    case Shell::kZsh:
      return kZsh;
    case Shell::kFish:
      return kFish;
  }
  return "";
}

}  // namespace daxvmm::control
