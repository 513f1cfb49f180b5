# What a user does on an ordinary Linux, inside a container with a systemd of its own; each step's outcome is a line of /out.
say() { echo "$1: $2" >>/out; }
as_told() { "$@" >>/log 2>&1; echo $?; }
status() { curl -sk -m 10 -o /dev/null -w '%{http_code}' "$@"; }

say install "$(as_told /weir install)"
say active "$(systemctl is-active weir)"
pid=$(systemctl show -P MainPID weir)
say user "$(stat -c %U /proc/$pid)"
say capabilities "$(awk '/^CapEff/ { print $2 }' /proc/$pid/status) $(awk '/^CapBnd/ { print $2 }' /proc/$pid/status)"
say unprivileged "$(awk '/^NoNewPrivs/ { print $2 }' /proc/$pid/status) $(awk '/^Seccomp:/ { print $2 }' /proc/$pid/status)"
say folder "$(stat -c '%U %a' /var/lib/weir) $(stat -c '%U %a' /var/lib)"
say setup "$(echo 'a passphrase of mine' | as_told /usr/local/bin/weir setup --password-stdin)"
say https "$(status -u 'admin:a passphrase of mine' https://127.0.0.1:8443/api2/json/info)"
say local "$(cd /; as_told /usr/local/bin/weir get /version)"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  seen=$(curl -sk -m 10 -u 'admin:a passphrase of mine' 'https://127.0.0.1:8443/flowtraq/api/v3/sessions/count?filter=SRVPORT==8443')
  case $seen in *'"count":0'* | *'"count": 0'*) sleep 1 ;; *) break ;; esac
done
say captured "$seen"
say reload "$(as_told systemctl reload weir)"
systemctl kill -s KILL weir
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1
  [ "$(systemctl is-active weir)" = active ] && [ "$(systemctl show -P MainPID weir)" != "$pid" ] && break
done
say restarted "$(systemctl is-active weir)"
say again "$(as_told /weir install)"
say refused "$(as_told /weir install --data /etc)"
say uninstall "$(as_told /usr/local/bin/weir uninstall)"
say gone "$(ls /usr/local/bin/weir /etc/systemd/system/weir.service 2>/dev/null)$(systemctl is-active weir)"
say kept "$(ls /var/lib/weir | grep -c .)"
say back "$(as_told /weir install --low-ports --board rpi-armv6)"
say low "$(awk '/^CapEff/ { print $2 }' /proc/$(systemctl show -P MainPID weir)/status)"
say unsaid "$(as_told /weir install)"
say still "$(grep -o 'board rpi-armv6' /etc/systemd/system/weir.service) $(awk '/^CapEff/ { print $2 }' /proc/$(systemctl show -P MainPID weir)/status)"
say remembered "$(status -u 'admin:a passphrase of mine' https://127.0.0.1:8443/api2/json/info)"
say purge "$(as_told /usr/local/bin/weir uninstall --purge)"
say nothing "$(ls -d /var/lib/weir 2>/dev/null)$(id -u weir 2>/dev/null)"
journalctl --no-pager -u weir >>/log 2>&1
systemctl --no-block poweroff
