package detect

import (
	"fmt"
	"testing"
)

func TestTry(t *testing.T) {
	for _, x := range []string{"加我微信 13800138000", "卡号 6222021000000000017 有效期0928", "code 482913 wrong", "我的身份证310104199003072515", "call +39 3471234567", "https://ext.example/?m=13800138000&o=D1", "https://ecp.example/b/1?email=mario.rossi@example.it", "3c:22:fb:12:34:56", "a4:56:02:aa:bb:cc", "460-00-6334-52101", "2001:b07:6474:8f1c:21ab:33ff:fe12:9", "114.80.166.240", "RSSMRA80A01H501U", "DE89370400440532013000", "IT60 X054 2811 1010 0000 0123 456", "89860012345678901238", "860531030123452", "460001234567890", "490154203237518", "4111 1111 1111 1111", "378282246310005", "2026-11-22T05:00:00Z", "D2022111800001", "91350100M000100Y43", "+49 1701234567", "１３８００１３８０００", "138-0013-8000", "138​0013​8000", "tel13800138000", "ID_310104199003072515.pdf", "440524188001010014", "1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5", "version 1.2.3.4", "fe80::1", "12:34:56", "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "11010519491231002X", "110105 19491231 002x", "passport no: E12345678", "邮箱anna@example.de, b@c.io", "330106201504200040"} {
		fmt.Printf("%q:", x)
		for _, h := range All.Find(nil, []byte(x), 0) {
			fmt.Printf(" %s=%q", Detectors[h.Kind].Name, x[h.Start:h.End])
		}
		fmt.Println()
	}
	for _, x := range []string{"490154203237518", "490154203237518.0", "4.90154203237518e14", "4901542032375180e-1", "13800138000", "1.3800138e10", "6222021000000000017", "1700000000000", "20221118123456", "-13800138000", "121.436525", "1e400"} {
		k, ok := All.Number([]byte(x), 0)
		fmt.Println(x, ok, Detectors[k].Name)
	}
}
