//! Names of ports, both ways: a selection of the IANA service name registry (RFC 6335), plus the short names people use.
//!
//! One port may have several names: the first in the table is the one shown, all of them are understood.

use std::sync::LazyLock;

/// `PORT/PROTOCOLS=NAME`, by port; `both` is TCP and UDP.
const TABLE: &str = "
7/both=echo 9/both=discard 13/both=daytime 17/both=qotd 19/both=chargen 20/tcp=ftp-data 21/tcp=ftp 22/tcp=ssh
23/tcp=telnet 25/tcp=smtp 37/both=time 43/tcp=whois 49/both=tacacs 53/both=domain 53/both=dns 67/udp=bootps 67/udp=dhcp
68/udp=bootpc 69/udp=tftp 70/tcp=gopher 79/tcp=finger 80/both=http 80/both=www 88/both=kerberos 102/tcp=iso-tsap
109/tcp=pop2 110/tcp=pop3 111/both=sunrpc 111/both=portmap 113/tcp=ident 119/tcp=nntp 123/udp=ntp 135/both=epmap
135/both=msrpc 137/both=netbios-ns 138/both=netbios-dgm 139/both=netbios-ssn 143/tcp=imap 143/tcp=imap2 161/both=snmp
162/both=snmptrap 177/both=xdmcp 179/tcp=bgp 194/both=irc 199/both=smux 201/both=at-rtmp 389/both=ldap 427/both=svrloc
443/both=https 444/both=snpp 445/both=microsoft-ds 445/both=smb 464/both=kpasswd 465/tcp=submissions 465/tcp=smtps
500/udp=isakmp 500/udp=ike 502/tcp=mbap 502/tcp=modbus 512/tcp=exec 512/udp=biff 513/tcp=login 513/udp=who
514/tcp=shell 514/udp=syslog 515/tcp=printer 517/udp=talk 520/udp=router 520/udp=rip 521/udp=ripng 543/tcp=klogin
544/tcp=kshell 546/udp=dhcpv6-client 547/udp=dhcpv6-server 548/tcp=afpovertcp 554/both=rtsp 563/tcp=nntps
587/tcp=submission 593/tcp=http-rpc-epmap 623/udp=asf-rmcp 623/udp=ipmi 631/both=ipp 636/both=ldaps 646/both=ldp
647/tcp=dhcp-failover 655/both=tinc 666/tcp=doom 674/tcp=acap 688/both=realm-rusd 694/udp=ha-cluster 749/both=kerberos-adm
784/udp=doq-draft 830/tcp=netconf-ssh 853/both=domain-s 853/both=dot 860/tcp=iscsi-system 873/tcp=rsync 902/both=ideafarm-door
902/both=vmware-auth 989/tcp=ftps-data 990/tcp=ftps 991/both=nas 992/tcp=telnets 993/tcp=imaps 994/tcp=ircs 995/tcp=pop3s
1080/both=socks 1099/both=rmiregistry 1194/both=openvpn 1214/both=kazaa 1241/both=nessus 1311/tcp=rxmon 1352/both=lotusnote
1433/both=ms-sql-s 1433/both=mssql 1434/both=ms-sql-m 1494/both=ica 1512/both=wins 1521/both=ncube-lm 1521/both=oracle
1524/both=ingreslock 1645/udp=radius-old 1646/udp=radacct-old 1701/udp=l2tp 1719/udp=h323gatestat 1720/tcp=h323hostcall
1723/tcp=pptp 1755/both=ms-streaming 1812/both=radius 1813/both=radius-acct 1863/both=msnp 1883/both=mqtt 1900/udp=ssdp
1935/both=macromedia-fcs 1935/both=rtmp 1985/udp=hsrp 2000/both=cisco-sccp 2049/both=nfs 2055/udp=iop 2055/udp=netflow
2082/tcp=infowave 2083/both=radsec 2086/tcp=gnunet 2123/udp=gtp-control 2152/udp=gtp-user 2181/tcp=eforward
2181/tcp=zookeeper 2222/tcp=ethernet-ip-1 2375/tcp=docker 2376/tcp=docker-s 2377/tcp=swarm 2379/tcp=etcd-client
2380/tcp=etcd-server 2404/tcp=iec-104 2427/udp=mgcp-gateway 2483/both=ttc 2484/both=ttc-ssl 2628/tcp=dict 3000/tcp=hbci
3050/both=gds-db 3074/both=xbox 3128/tcp=ndl-aas 3128/tcp=squid 3205/both=isns 3260/tcp=iscsi-target 3260/tcp=iscsi
3268/both=msft-gc 3269/both=msft-gc-ssl 3283/both=net-assistant 3306/tcp=mysql 3389/both=ms-wbt-server 3389/both=rdp
3478/both=stun 3478/both=turn 3544/udp=teredo 3632/tcp=distcc 3689/both=daap 3690/both=svn 3702/udp=ws-discovery
3784/udp=bfd-control 3799/udp=radius-dynauth 3868/both=diameter 4369/tcp=epmd 4433/tcp=vop 4444/tcp=krb524
4500/udp=ipsec-nat-t 4505/tcp=salt-publish 4506/tcp=salt-return 4569/udp=iax 4662/tcp=oms 4662/tcp=emule 4739/both=ipfix
4740/both=ipfixs 4786/tcp=smart-install 4789/udp=vxlan 4840/both=opcua-tcp 5000/tcp=commplex-main 5001/both=commplex-link
5004/both=avt-profile-1 5004/both=rtp 5005/both=avt-profile-2 5005/both=rtcp 5060/both=sip 5061/both=sips 5190/both=aol
5201/both=targus-getdata1 5201/both=iperf3 5222/tcp=xmpp-client 5223/tcp=hpvirtgrp 5223/tcp=apns 5228/tcp=hpvroom
5228/tcp=gcm 5246/udp=capwap-control 5247/udp=capwap-data 5269/tcp=xmpp-server 5349/both=stuns 5351/udp=nat-pmp
5353/udp=mdns 5355/both=llmnr 5357/tcp=wsd 5432/tcp=postgresql 5432/tcp=postgres 5500/tcp=fcp-addr-srvr1 5555/tcp=adb
5631/tcp=pcanywheredata 5632/udp=pcanywherestat 5666/tcp=nrpe 5671/both=amqps 5672/both=amqp 5683/both=coap 5684/both=coaps
5800/tcp=vnc-http 5900/tcp=rfb 5900/tcp=vnc 5901/tcp=vnc-1 5938/both=teamviewer 5984/both=couchdb 5985/tcp=wsman
5985/tcp=winrm 5986/tcp=wsmans 6000/tcp=x11 6001/tcp=x11-1 6081/udp=geneve 6343/both=sflow 6379/tcp=redis
6443/tcp=sun-sr-https 6443/tcp=kubernetes 6514/both=syslog-tls 6566/tcp=sane-port 6588/tcp=analogx 6633/tcp=openflow-old
6636/udp=mpls-udp-dtls 6635/udp=mpls-udp 6653/both=openflow 6667/tcp=ircu 6697/tcp=ircs-u 6771/udp=lsd 6881/both=bittorrent
7000/both=afs3-fileserver 7001/both=afs3-callback 7070/tcp=arcp 7474/tcp=neo4j 7547/both=cwmp 8000/tcp=irdmi
8006/tcp=wpl-analytics 8006/tcp=proxmox 8008/tcp=http-alt-1 8009/tcp=ajp13 8080/both=http-alt 8080/both=http-proxy
8081/tcp=sunproxyadmin 8086/tcp=influxdb 8088/tcp=radan-http 8123/tcp=home-assistant 8291/tcp=winbox 8333/both=bitcoin
8443/tcp=pcsync-https 8443/tcp=https-alt 8472/udp=otv 8529/tcp=arangodb 8554/both=rtsp-alt 8728/tcp=mikrotik-api
8883/both=secure-mqtt 8883/both=mqtts 8888/tcp=ddi-tcp-1 9000/tcp=cslistener 9001/tcp=tor-orport 9042/tcp=cassandra
9090/tcp=websm 9090/tcp=prometheus 9092/tcp=kafka 9100/tcp=pdl-datastream 9100/tcp=jetdirect 9200/tcp=wap-wsp
9200/tcp=elasticsearch 9300/tcp=vrace 9418/tcp=git 9640/tcp=flowtraq 9993/udp=zerotier 9995/udp=palace-4 9996/udp=palace-5
10000/tcp=ndmp 10000/tcp=webmin 10050/tcp=zabbix-agent 10051/tcp=zabbix-trapper 11211/both=memcache 11211/both=memcached
11371/tcp=hkp 17500/both=db-lsp 19132/udp=minecraft-bedrock 20000/both=dnp 20000/both=dnp3 22000/both=syncthing
25565/tcp=minecraft 27015/both=steam 27017/tcp=mongodb 33848/udp=jenkins 34962/both=profinet-rt 37008/udp=tzsp
44818/both=ethernet-ip-2 47808/both=bacnet 50000/tcp=db2 51413/both=transmission 51820/udp=wireguard 64738/both=mumble
";

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const DCCP: u8 = 33;

struct Index {
    /// (port, is UDP, name), sorted by the first two; the table's order among equals.
    by_port: Vec<(u16, bool, &'static str)>,
    /// (name, port), sorted.
    by_name: Vec<(&'static str, u16)>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let (mut by_port, mut by_name) = (Vec::new(), Vec::new());
    for (port, transport, name) in rows() {
        if transport != "udp" {
            by_port.push((port, false, name));
        }
        if transport != "tcp" {
            by_port.push((port, true, name));
        }
        by_name.push((name, port));
    }
    by_port.sort_by_key(|&(port, udp, _)| (port, udp));
    by_port.dedup_by_key(|&mut (port, udp, _)| (port, udp));
    by_name.sort_unstable();
    by_name.dedup();
    Index { by_port, by_name }
});

/// The name of a port of this IP protocol. SCTP and DCCP use the names of TCP and UDP.
#[must_use]
pub fn name(protocol: u8, port: u16) -> Option<&'static str> {
    let udp = match protocol {
        TCP | SCTP => false,
        UDP | DCCP => true,
        _ => return None,
    };
    let at = INDEX.by_port.binary_search_by_key(&(port, udp), |&(port, udp, _)| (port, udp)).ok()?;
    INDEX.by_port.get(at).map(|&(_, _, name)| name)
}

/// The port of that name, in upper or lower case: `https` is 443.
#[must_use]
pub fn by_name(name: &str) -> Option<u16> {
    let name = name.to_ascii_lowercase();
    let at = INDEX.by_name.binary_search_by_key(&name.as_str(), |&(name, _)| name).ok()?;
    INDEX.by_name.get(at).map(|&(_, port)| port)
}

fn rows() -> impl Iterator<Item = (u16, &'static str, &'static str)> {
    TABLE.split_ascii_whitespace().filter_map(|row| {
        let (port, name) = row.split_once('=')?;
        let (port, transport) = port.split_once('/')?;
        Some((port.parse().ok()?, transport, name))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_row_of_the_table_is_read_and_a_name_means_one_port() {
        assert_eq!(rows().count(), TABLE.split_ascii_whitespace().count());
        let mut seen = HashMap::new();
        for (port, transport, name) in rows() {
            assert!(["tcp", "udp", "both"].contains(&transport), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
            assert!(*seen.entry(name).or_insert(port) == port, "{name} is two ports");
        }
    }

    #[test]
    fn names_and_numbers_go_both_ways() {
        for (protocol, port, shown) in [(6, 443, "https"), (17, 53, "domain"), (6, 22, "ssh"), (17, 514, "syslog")] {
            assert_eq!(name(protocol, port), Some(shown));
            assert_eq!(by_name(shown), Some(port));
        }
        assert_eq!(name(6, 514), Some("shell"), "TCP and UDP may differ");
        assert_eq!(by_name("DNS"), Some(53), "aliases and capitals are understood");
        assert_eq!(name(1, 443), None, "ICMP has no ports");
        assert_eq!((name(6, 1), by_name("no-such-service"), by_name("")), (None, None, None));
    }

    #[test]
    fn every_name_shown_is_understood() {
        for &(port, _, name) in &INDEX.by_port {
            assert_eq!(by_name(name), Some(port));
        }
    }
}
