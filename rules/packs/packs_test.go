package packs_test

import (
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
	"github.com/caddy-minimize/minimize/rules/mask"
	"github.com/caddy-minimize/minimize/rules/packs"
)

func base(t *testing.T) *rules.Document {
	t.Helper()
	doc, err := rules.Parse("base.yaml", packs.Base())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestCategories(t *testing.T) {
	grades := map[rules.Category]rules.Grade{}
	for _, c := range base(t).Categories {
		if _, twice := grades[c.Name]; twice {
			t.Errorf("%s: category %s is declared twice", c.Pos, c.Name)
		}
		if parent, _, ok := cutLast(string(c.Name)); ok {
			if _, known := grades[rules.Category(parent)]; !known {
				t.Errorf("%s: category %s stands before its parent, or has none", c.Pos, c.Name)
			}
		}
		if _, err := rules.ParseGrade(string(c.Name)); err == nil || c.Name == rules.None {
			t.Errorf("%s: category %s has a reserved name", c.Pos, c.Name)
		}
		if c.Mask != "" {
			if _, err := mask.Parse(c.Mask); err != nil {
				t.Errorf("%s: %v", c.Pos, err)
			}
		}
		grades[c.Name] = c.Grade
	}
	for _, d := range detect.Detectors {
		if _, ok := grades[rules.Category(d.Category)]; !ok {
			t.Errorf("detector %s finds %s, which is not declared", d.Name, d.Category)
		}
	}
	// These are named outside this pack: by limits that nobody can lift, and by rules that every platform writes.
	for name, grade := range map[rules.Category]rules.Grade{
		"auth.secret": rules.Secret, "auth.token": rules.Secret, "card.security": rules.Secret, "addressbook": rules.Secret,
		"financial.debt": rules.Secret, "financial.credit": rules.Secret, "aggregate.count": rules.Open,
	} {
		if g, ok := grades[name]; !ok || g != grade {
			t.Errorf("category %s is %v, want %v", name, g, grade)
		}
	}
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func TestFields(t *testing.T) {
	doc := base(t)
	declared := map[rules.Category]bool{}
	for _, c := range doc.Categories {
		declared[c.Name] = true
	}
	seen := map[string]bool{}
	for _, f := range doc.Fields {
		if !declared[f.Is] {
			t.Errorf("%s: %s is not declared", f.Pos, f.Is)
		}
		if len(f.Keys) == 0 {
			t.Errorf("%s: the base pack knows names only", f.Pos)
		}
		in := f.In
		if len(in) == 0 {
			in = []string{""}
		}
		for _, key := range f.Keys {
			for _, member := range in {
				id := detect.Fold([]byte(key)).String() + " in " + detect.Fold([]byte(member)).String()
				if seen[id] {
					t.Errorf("%s: %s in %q stands twice", f.Pos, key, member)
				}
				seen[id] = true
			}
		}
	}
	if len(doc.Allow)+len(doc.Limit)+len(doc.Records)+len(doc.Recipients) > 0 {
		t.Error("the base pack decides nothing")
	}
}

// scope looks names up as a gateway with an empty rule document does.
func scope(t *testing.T) func(path string) rules.Category {
	t.Helper()
	doc, err := rules.Parse("empty.yaml", []byte("minimize: 1\nhome: CN\n"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile([]*rules.Document{doc}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := set.Scope("GET", "/")
	return func(path string) rules.Category {
		var in *rules.Name
		parent, key, ok := strings.Cut(path, "/")
		if !ok {
			key = parent
		} else {
			n := s.Name([]byte(parent))
			in = &n
		}
		name := s.Name([]byte(key))
		label := s.Key(&name, in)
		if label == nil || label.Silent {
			return rules.None
		}
		return set.Categories()[label.Category].Name
	}
}

// TestTaxonomy holds the pack against every name in the taxonomy's table. A name with a slash is only right inside that
// member; alone it is too common.
func TestTaxonomy(t *testing.T) {
	find := scope(t)
	for _, row := range []struct{ id, is, names string }{
		{"T01", "person.name", "name realName real_name fullName firstName first_name last_name surname consignee consigneeName receiver receiverName recipient " +
			"contactName buyerName payerName cardHolder accName accountName custName xm xingming 姓名 名字 收件人 收货人 联系人 户名 持卡人 nome cognome"},
		{"T01", "person.name", "vorname Nachname empfänger Empfaenger kontoinhaber prénom PRENOM apellidos nombre_completo voornaam nazwisko fname user_data/fn"},
		{"T01", "person.birth", "geburtsdatum dateDeNaissance fecha_de_nacimiento geboortedatum user_data/db"},
		{"T03", "contact.phone", "telefonnummer téléphone Teléfono celular user_data/ph"},
		{"T05", "contact.address", "anschrift Straße strasse PLZ lieferadresse dirección endereco ulica user_data/zp"},
		{"T06", "identity", "personalausweisnummer dni pesel steuerId sozialversicherungsnummer reisepass führerschein"},
		{"T09", "auth.secret", "passwort contraseña senha mot_de_passe"},
		{"T13", "financial", "kontonummer bankverbindung gehalt"},
		{"T19", "network.ip", "ip/adresse"},
		{"T02", "account", "nickname nickName userName 用户名 avatar headimgurl headImg bio intro user/signature nicheng 昵称 头像 个人简介"},
		{"T03", "contact.phone", "phone mobile tel telephone cellphone phoneno phonenum mobileno linktel contact_phone contactinfo buyerMobile " +
			"consigneeMobile consigneePhone msisdn purePhoneNumber sjh shouji shoujihao lxdh 手机号 电话 联系 cellulare telefono"},
		{"T03", "contact.fax", "fax 传真"},
		{"T04", "contact.email", "email mail eMail contactEmail consigneeEmail youxiang dzyx 邮箱 电子邮箱"},
		{"T05", "contact.address", "address addr address_1 address_2 addressLine1 street address/detail shipping_address billing_address " +
			"consigneeAddress buyerAddress receiverAddress address/province address/city buyerCityName address/district county town postcode zip postalCode dz " +
			"dizhi shdz xxdz 地址 联系地址 收货地址 详细地址 省市区 indirizzo indirizzo/cap comune"},
		{"T06", "identity.national_id", "idCard id_card idCardNo idNo idNumber identityNo certNo cert_no certificateNo credentialNo buyerIdNumber " +
			"payerIdNumber sfz sfzh sfzhm shenfenzheng zjh zjhm 身份证 身份证号 证件号码 公民身份号码"},
		{"T07", "identity", "passport passportNo 护照 港澳通行证 台湾通行证 driverLicense 驾照 ssn 社保号 taxId tin codiceFiscale codice_fiscale fiscalCode persona/taxId " +
			"customer/cf militaryId 军官证 huzhao"},
		{"T08", "identity.image", "idCardFront idCardBack id_card_front idPhoto certImage licenseImage passportPhoto 身份证正面 手持照"},
		{"T09", "auth", "password passwd pwd passwordHash salt payPassword tradePwd pin smsCode sms_code verifyCode verificationCode otp authCode captcha token " +
			"accessToken refreshToken sessionKey session_key secret securityAnswer login/mm mima yzm yanzhengma 密码 支付密码 验证码 密保"},
		{"T10", "card.number", "cardNo card_no cardNumber card_number bankcard bank_card bankCardNo creditCard debitCard pan 银行卡 信用卡 借记卡 卡号 yhk yhkh kahao"},
		{"T11", "card.security", "cvv cvv2 cvc cvc2 cvn cvn2 card/cid securityCode security_code track1 track2 magstripe pinBlock emvData 安全码 card/校验码"},
		{"T12", "card.expiry", "card/exp card/expiry card/expDate expMonth expYear exp_month card/expirationDate card/expireDate validThru card/yxq " +
			"card/youxiaoqi card/有效期"},
		{"T13", "financial.account", "bankAccount bank_account_number bank_account_no accountNo accNo payAccount iban bic routingNumber sortCode openBank " +
			"khh yhzh 银行账号 账号 开户行 alipayAccount openid unionid conto"},
		{"T14", "financial", "tradeRecords transactions balance income salary turnover jyjl 交易记录 余额 收入"},
		{"T15", "order", "orderNo order_id amount orders/goods orders/items payMethod 订单号"},
		{"T16", "device", "imei imei1 imei2 meid imsi subscriberId iccid simSerialNumber simSerial mac macAddress wifiMac btMac serial serialNo sn androidId " +
			"android_id udid utdid did deviceid device_id deviceUid deviceCode 设备号 串号 设备序列号"},
		{"T17", "device.advertising_id", "idfa oaid vaid aaid gaid adid ifa advertisingId caid muid click_id client_id _ga fbp gclid"},
		{"T18", "device.imei", "imei_md5 imeimd5 didmd5 didsha1"},
		{"T18", "device.advertising_id", "oaid_md5 hash_oaid md5_oaid md5_sha256_oaid"},
		{"T18", "device.mac", "macmd5 macsha1"},
		{"T18", "device.id", "androidid_md5 dpidmd5 dpidsha1"},
		{"T18", "contact.email", "email_sha256"},
		{"T19", "network.ip", "ip ipv6 clientIp remoteAddr userIp customer_ip_address ip_override lastLoginIp X-Forwarded-For Forwarded X-Real-IP True-Client-IP " +
			"CF-Connecting-IP"},
		{"T20", "network", "ssid bssid wifiName wifiList apMac wlanAp bluetooth bleDevices cellId lac tac baseStation plmn mccmnc device/carrier simHome simOperator " +
			"归属地 基站"},
		{"T21", "location.precise", "lat latitude lng lon longitude gps coordinates geo geohash track trajectory location/jd location/wd jingdu weidu 经度 纬度 定位 轨迹"},
		{"T22", "location.region", "country region city province"},
		{"T23", "behavior.apps", "appList app_list apps installedApps device/packages runningProcesses procList 应用列表 已安装应用"},
		{"T24", "behavior", "browsing browseHistory searchRecords searchHistory keyword favorites recentlyViewed history/page page_location referrer netHistory " +
			"history/url 浏览记录 搜索记录"},
		{"T25", "profile", "tags user/labels user/segments prefs portrait userProfile riskScore 画像 标签"},
		{"T25", "financial.credit", "creditScore"}, // T29 names it too, and is stricter
		{"T26", "biometric", "face faceImage faceId faceToken faceFeature livenessVideo voiceprint iris 人脸 指纹 声纹"},
		{"T27", "media", "video liveUrl photo user/image"},
		{"T28", "health", "health diagnosis disease allergy symptom medication medicalRecord pregnancy 病历 诊断 过敏 孕"},
		{"T29", "financial.credit", "creditReport creditScore zhengxin loans guarantees overdueHistory 征信 信用报告"},
		{"T30", "financial.debt", "overdue due debt arrears loan yuqi qiankuan 逾期 欠款"},
		{"T31", "addressbook", "contacts addressBook address_book phoneBook contactList emergencyContact txl tongxunlu 通讯录 紧急联系人"},
		{"T32", "background", "family spouse maritalStatus socialRelations employer occupation user/position education 学历 jobApplications 家庭 工作单位"},
		{"T33", "content", "messages chat message/text message/content remark memo note mail/subject stack 聊天记录 备注"},
		{"T34", "person", "birthday birth 生日 dob age 年龄 csrq 出生日期"},
		{"T34", "minor", "school student/grade student/class student studentId guardian xuesheng 学生 学校 班级"},
		{"T35", "special", "religion ethnicity minzu 民族 宗教 politicalStatus 政治面貌 unionMember criminalRecord illegalRecords"},
		{"T36", "business", "companyName regNo uscc creditCode businessLicense taxNo vat partitaIva tyshxydm 统一社会信用代码 纳税人识别号"},
		{"T37", "session", "Cookie Set-Cookie"},
		{"T37", "account.id", "uid"},
	} {
		for name := range strings.FieldsSeq(row.names) {
			if got := find(name); !rules.Category(row.is).Contains(got) {
				t.Errorf("%s: %s is %s, want %s", row.id, name, got, row.is)
			}
		}
	}
}

// TestTraps are names that mean different things in different places, and names that only look like one of ours.
func TestTraps(t *testing.T) {
	find := scope(t)
	for _, c := range []struct{ is, names string }{
		{"contact.address", "address buyer/address shippingAddress"},
		{"contact.email", "emailAddress email/address"},
		{"network.ip", "ipAddress ip/address server/address"},
		{"device.mac", "macAddress bluetooth/address mac"},
		{"financial.account", "walletAddress wallet/address bank/account payee/no"},
		{"thing", "signature/mac hmac/mac product/sn certificate/serialNumber certificate/fingerprint oauth/client_id app/aaid album/track"},
		{"device.serial", "device/sn sn"},
		{"order.number", "order/sn orders/no orderSn"},
		{"card.security", "card/cid payment/cid"},
		{"network.cell", "baseStation/cid lte/cid tac"},
		{"device.advertising_id", "click/cid campaign/cid"},
		{"device.imei", "device/tac"},
		{"identity.tax_id", "tax/pan customer/cf"},
		{"card.number", "pan card/number creditCard/no bankCard/number"},
		{"auth.secret", "sms/code login/code smsCode"},
		{"auth.token", "token product/token service/token"},
		{"biometric.fingerprint", "fingerprint user/fingerprint"},
		{"device.id", "deviceFingerprint device/fingerprint"},
		{"person.name", "item/name items/name node/name"}, // items is what lists of people are called too
		{"thing", "certFingerprint product/name goods/name sku/name category/name shop/name file/name event/name productName fileName className"},
		{"person.name", "name buyer/name user/name product/sellerName items/contactName idCard/name"},
		{"identity.national_id", "idCard/number 身份证/号码"},
		{"business.name", "company/name companyName supplier/name"},
		{"contact", "contact"},
		{"card.expiry", "card/validity card/exp card/month creditCard/expiry"},
		{"minor.school", "student/class student/grade"},
		{"contact.phone", "收件人手机号 buyer.phone i_phone_number BUYER_MOBILE ＰＨＯＮＥ pho\u200bne рhone phone/number phones"},
		{"device.imei", "i_m_e_i IMEI imei1 imei_sha256 imeis"},
		{"network.ip", "clientIPs client_ip_v4 IPv6"},

		// Nothing of this is personal by its name.
		{string(rules.None), "id ids code number no account cid cf exp expiry validity class grade status type text content subject body items goods data list results " +
			"page records rows total count url path title description message position department location carrier x y mm jd wd image label segment " +
			"device user order product card payment details comments children children/id node/children relationships " +
			"cardinality mobility description telemetry mailing emailing cardboard ageing pinned tokenizer ipsum scan macro phoneme nameserver"},
		// A fact about a field is not the field.
		{string(rules.None), "phoneModel phone_brand emailVerified email_verified_at isPhoneVerified hasEmail idCardType contentType addressType addressId contactId " +
			"phoneCount imeiCount passwordPolicy tokenType tokenExpiresAt emailEnabled 手机型号 手机品牌 身份证类型 phone2Type locationAccuracy addressBookSize"},
		{"thing", "maxAge totalTokens prompt_tokens nextPageToken bill/maxAge statusName typeName hostName"},
	} {
		for name := range strings.FieldsSeq(c.names) {
			if got := find(name); got != rules.Category(c.is) {
				t.Errorf("%s is %s, want %s", name, got, c.is)
			}
		}
	}
}

// TestDeclaredNamesAreFound catches a name that a longer one or an attribute hides for ever.
func TestDeclaredNamesAreFound(t *testing.T) {
	find := scope(t)
	for _, f := range base(t).Fields {
		for _, key := range f.Keys {
			paths := []string{key}
			for _, in := range f.In {
				paths = append(paths, in+"/"+key)
			}
			if len(f.In) > 0 {
				paths = paths[1:]
			}
			for _, path := range paths {
				if got := find(path); got != f.Is {
					t.Errorf("%s: %s is %s, want %s", f.Pos, path, got, f.Is)
				}
			}
		}
	}
}

// TestTogether: every platform's pack stands beside the limits of the law that holds at its home, and alone.
func TestTogether(t *testing.T) {
	keys, err := rules.NewKeyRing(map[string][]byte{"test": []byte("a key for packs, which is no secret")})
	if err != nil {
		t.Fatal(err)
	}
	parse := func(name string) *rules.Document {
		data, ok := packs.Read(name)
		if !ok {
			t.Fatalf("no pack is named %s", name)
		}
		doc, err := rules.Parse(name+".yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	gdpr := parse("gdpr")
	for _, name := range packs.Names() {
		doc := parse(name)
		if _, err := rules.Compile([]*rules.Document{doc}, rules.Options{Keys: keys}); err != nil {
			t.Error(err)
		}
		if name == "bags" || name == "ecp" {
			if _, err := rules.Compile([]*rules.Document{gdpr, doc}, rules.Options{Keys: keys}); err != nil {
				t.Error(err)
			}
		}
	}
}
